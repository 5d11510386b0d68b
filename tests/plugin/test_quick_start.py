"""Commands of ours import nerfstudio without its looking at source code."""

import inspect
import os
import tarfile

import viser
import viser._gui_api
import viser._gui_handles
import viser._icons
from nerfstudio.configs.external_methods import get_external_methods

from fasttext2style.plugin.host.quick_start import frames_without_source
from fasttext2style.plugin.viewer import icons
from tests.quick_imports import quick_imports


def test_the_frames_are_those_of_inspect():
    def asked():
        return inspect.stack(context=0)

    expected = [(it.frame, it.function) for it in asked()][1:]
    with frames_without_source():
        found = [(it.frame, it.function) for it in asked()][1:]
    assert found == expected and inspect.stack()[0].code_context


def test_what_is_set_while_tests_are_collected_stays(monkeypatch):
    """ns-render finds the ffmpeg that importing our methods put on the PATH."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.delenv("TORCHDYNAMO_DISABLE", raising=False)
    with quick_imports():
        os.environ["PATH"] += os.pathsep + "somewhere"
    assert os.environ["PATH"].endswith("somewhere") and "TORCHDYNAMO_DISABLE" not in os.environ


def test_nerfstudio_lists_its_external_methods_without_a_look_at_source(monkeypatch):
    looked = []
    monkeypatch.setattr(inspect, "getsourcefile", lambda thing: looked.append(thing))
    get_external_methods()
    assert looked
    looked.clear()
    with frames_without_source():
        assert len(get_external_methods()[0]) > 10
    assert not looked


def test_icons_that_are_read_at_once_are_visers(monkeypatch):
    """And its archive is opened once for all of them."""
    expected = {name: viser._icons.svg_from_icon(name) for name in (viser.Icon.ARROW_BACK_UP, viser.Icon.EYE)}
    icons._icons.cache_clear()
    opened, tarfile_open = [], tarfile.open
    monkeypatch.setattr(tarfile, "open", lambda path: opened.append(path) or tarfile_open(path))
    for module in (viser._gui_api, viser._gui_handles):
        monkeypatch.setattr(module, "svg_from_icon", viser._icons.svg_from_icon)
    icons.read_icons_at_once()
    for name, picture in expected.items():
        assert viser._gui_api.svg_from_icon(name) == viser._gui_handles.svg_from_icon(name) == picture
    assert len(opened) == 1

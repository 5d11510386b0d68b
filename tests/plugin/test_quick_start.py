"""Commands of ours import nerfstudio without its looking at source code."""

import inspect

import viser
import viser._icons
from nerfstudio.configs.external_methods import get_external_methods

from fasttext2style.plugin.host.quick_start import frames_without_source
from tests.icons import icon


def test_the_frames_are_those_of_inspect():
    def asked():
        return inspect.stack(context=0)

    expected = [(it.frame, it.function) for it in asked()][1:]
    with frames_without_source():
        found = [(it.frame, it.function) for it in asked()][1:]
    assert found == expected and inspect.stack()[0].code_context


def test_nerfstudio_lists_its_external_methods_without_a_look_at_source(monkeypatch):
    looked = []
    monkeypatch.setattr(inspect, "getsourcefile", lambda thing: looked.append(thing))
    get_external_methods()
    assert looked
    looked.clear()
    with frames_without_source():
        assert len(get_external_methods()[0]) > 10
    assert not looked


def test_icons_that_are_read_at_once_are_visers():
    for name in (viser.Icon.ARROW_BACK_UP, viser.Icon.EYE):
        assert icon(name) == viser._icons.svg_from_icon(name)

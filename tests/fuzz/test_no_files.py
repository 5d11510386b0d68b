"""A pipe, or a link to a device, in place of a file, as an archive of somebody else may hold it: no reader waits."""

import os
import signal
from dataclasses import replace

import pytest

from fasttext2style.captures.masks import read_mask
from fasttext2style.captures.photographs import read_head, read_photograph, why_pixels_are_unreadable
from fasttext2style.recipes.recipe import read_recipe
from fasttext2style.scene.files.scenes import read_scene
from fasttext2style.trust.own_runs import is_own
from tests.fuzz.targets import TARGETS, Target

SECONDS = 5


def _own(folder):
    assert not is_own(folder / "config.yml")
    raise ValueError


def _shown(path):
    raise ValueError(why_pixels_are_unreadable(path) or "it was read")


def _of(file, read):
    return Target(file, lambda _: [], read)


PARTS = ("applied steps", "config", "recipe", "sog, meta.json", "sog, picture")
"""What is read of another file, or is no file by itself."""
READERS = {
    **{name: target for name, target in TARGETS.items() if name not in PARTS},
    "spz": replace(TARGETS["spz"], file="scene.spz", read=lambda folder: read_scene(folder / "scene.spz")),
    "recipe of somebody": _of("recipe.yaml", lambda folder: read_recipe(folder / "recipe.yaml")),
    "whose run it is": _of("config.yml", _own),
    "photograph": _of("a.png", lambda folder: read_head(folder / "a.png")),
    "photograph, as a whole": _of("a.png", lambda folder: read_photograph(folder / "a.png", (4, 4), (4, 4))),
    "photograph, in a check": _of("a.png", lambda folder: _shown(folder / "a.png")),
    "mask": _of("a.png", lambda folder: read_mask(folder / "a.png", (4, 4), 1, (4, 4))),
}


def _what_comes_of(target: Target, folder) -> str:
    """In a process of its own: some readers would hold up signals, too."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        try:
            target.read(folder)
            said = "read"
        except ValueError:
            said = "refused"
        except BaseException as error:
            said = repr(error)
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with open(read) as stream:
        said = stream.read()
    return said or f"ended by signal {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}"


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_never_ends_is_refused(tmp_path, name, kind):
    target = READERS[name]
    target.seeds(tmp_path)
    path = tmp_path / target.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    assert _what_comes_of(target, tmp_path) == "refused"

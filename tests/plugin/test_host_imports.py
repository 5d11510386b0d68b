"""What comes with nerfstudio and what with us, in a process that has loaded neither."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

OLD = sorted((Path(__file__).parent / "runs_of_0_1").glob("*.yml"))
IMPORTS = """
import contextlib, io, os, sys
from pathlib import Path
# As every ft2s begins.
from fasttext2style.cli import entrypoint
paths, sys.argv = sys.argv[1:], ["ft2s", "words"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    entrypoint()
from fasttext2style.plugin.runs.run import read_config
import nerfstudio.engine.trainer, nerfstudio.models.nerfacto, nerfstudio.models.splatfacto
import nerfstudio.data.datamanagers.full_images_datamanager, nerfstudio.plugins.types
import nerfstudio.data.dataparsers.nerfstudio_dataparser, nerfstudio.configs.base_config
before = set(sys.modules)
assert "fasttext2style.plugin.methods" not in before
for path in paths:
    # What one of them loads must not help the next.
    if os.fork() == 0:
        print(read_config(Path(path)).experiment_name, flush=True)
        os._exit(0)
    os.wait()
import fasttext2style.plugin.methods
print(*{name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
"""


class Said(NamedTuple):
    experiments: list[str]
    """Of old runs, as a process read them that had loaded no method."""
    brought: set[str]
    """Packages that come with our methods."""
    errors: str


@pytest.fixture(scope="module")
def said() -> Said:
    done = subprocess.run([sys.executable, "-c", IMPORTS, *map(str, OLD)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *experiments, brought = done.stdout.splitlines()
    return Said(experiments, set(brought.split()), done.stderr)


def test_commands_of_ours_read_runs_of_0_1_in_a_process_that_loaded_no_method(said):
    """nerfstudio's commands come through the door that teaches the loader; those of ft2s do not."""
    assert said.experiments == ["bear"] * len(OLD) and len(OLD) == 3


def test_the_entry_point_is_light(said):
    """Every ns-* command imports it: beyond nerfstudio's own imports it brings nothing heavy, and few packages."""
    light = {"filelock", "imageio_ffmpeg", "lazy_loader", "platformdirs", "safetensors", "yaml"}
    # Parts of scipy that nerfstudio has not loaded.
    assert said.brought <= {"fasttext2style", "scipy"} | light, said.brought


def test_no_command_of_ours_warns_of_what_it_imports(said):
    """Though two modules of nerfstudio do."""
    assert not said.errors

"""What pip cannot get without a C compiler lies in wheels/."""

import importlib.util
import subprocess
import sys
from pathlib import Path

WHEELS = Path(__file__).parents[1] / "wheels"


def _builder():
    spec = importlib.util.spec_from_file_location("pyliblzfse_wheel", WHEELS / "pyliblzfse.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_wheel_is_what_its_script_writes(tmp_path):
    builder = _builder()
    builder.write(tmp_path / "again.whl")
    assert (tmp_path / "again.whl").read_bytes() == builder.WHEEL.read_bytes()


def test_the_wheel_compresses_as_pyliblzfse_does():
    # Straight from the wheel, whichever pyliblzfse is installed.
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import liblzfse\n"
        "assert liblzfse.__file__.startswith(sys.argv[1])\n"
        "data = bytes(range(256)) * 99; packed = liblzfse.compress(data)\n"
        "assert len(packed) < len(data) / 9 and liblzfse.decompress(packed) == data"
    )
    subprocess.run([sys.executable, "-c", program, _builder().WHEEL], check=True)

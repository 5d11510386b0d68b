"""Names in the header of an OpenEXR file that are no UTF-8: its binding ends the process, if nobody looks before."""

import os

import pytest
import torch

from fasttext2style.envmaps.files import write_panorama
from fasttext2style.envmaps.formats import read_head


@pytest.mark.parametrize("name", [b"displayWindow", b"dataWindow", b"box2i", b"R\0\2", b"lineOrder"])
def test_a_name_that_is_no_utf8_is_refused_and_ends_nothing(tmp_path, name):
    path = tmp_path / "a.exr"
    write_panorama(path, torch.ones(3, 6, 3))
    content = path.read_bytes()
    assert content.count(name) >= 1
    path.write_bytes(content.replace(name, b"\xff" + name[1:], 1))
    child = os.fork()  # so that it would be seen here
    if child == 0:
        try:
            read_head(path)
        except ValueError as error:
            os._exit(5 if "a.exr" in str(error) else 6)
        finally:
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5

"""Everything here runs with the pretended GPU, which has to be there before torch: `make pretend-cuda`."""

from __future__ import annotations

import sys

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "tests.pretend_cuda.plugin" in sys.modules:
        return
    for item in items:
        if "tests/pretend_cuda/" in item.nodeid:
            item.add_marker(pytest.mark.skip(reason="needs the pretended GPU in its process: make pretend-cuda"))


@pytest.fixture()
def counted():
    from tests.pretend_cuda.counting import counted

    return counted

"""What the tests of the host share."""

import pytest

from tests.icons import read_icons_at_once


@pytest.fixture(scope="session", autouse=True)
def _icons_are_read_at_once():
    read_icons_at_once()

"""What the tests of the host share."""

from functools import lru_cache

import pytest
import viser._gui_api


@pytest.fixture(scope="session", autouse=True)
def _icons_are_looked_up_once():
    """For each icon of a panel viser goes through an archive of 5,000 files; a panel has a dozen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(viser._gui_api, "svg_from_icon", lru_cache(viser._gui_api.svg_from_icon))
        yield

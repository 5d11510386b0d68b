"""The sheet of a panorama: numbers and places that make none are refused in words."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fasttext2style.envmaps.show import show_panorama


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"yaw_degrees": float("nan")}, "--yaw is an angle in degrees, got nan"),
        ({"exposure_stops": float("nan")}, "--exposure is in stops"),
        ({"exposure_stops": 1e9}, "--exposure is in stops"),
        ({"output": "sheet.jpg"}, r"The sheet is written as \.png"),
        ({"output": "panorama.png/sheet.png"}, "cannot be written"),
        ({"output": "folder.png"}, "is a folder"),
    ],
)
def test_what_makes_no_sheet_is_said(tmp_path, settings, message):
    Image.fromarray(np.full((8, 16, 3), 128, np.uint8)).save(tmp_path / "panorama.png")
    (tmp_path / "folder.png").mkdir()
    output = tmp_path / settings.pop("output", "sheet.png")
    with pytest.raises(ValueError, match=message):
        show_panorama(tmp_path / "panorama.png", output, **settings)
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["folder.png", "panorama.png"]


def test_the_sheet_is_written_where_it_was_asked_for(tmp_path):
    Image.fromarray(np.full((8, 16, 3), 128, np.uint8)).save(tmp_path / "panorama.png")
    lines = show_panorama(tmp_path / "panorama.png", tmp_path / "new" / "sheet.png", exposure_stops=1)
    assert "shown with +1.0 stops" in lines[0] and (tmp_path / "new" / "sheet.png").stat().st_size > 1000

"""The page of all rounds: numbers and curves are those of the manifests, pictures those that are there."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from fasttext2style.rounds.folder import KINDS, Round
from fasttext2style.rounds.page import metric, write_page
from fasttext2style.rounds.records import round_in_words

TITLE = "Inside the mask, to the edited views"


def _round(folder, number, psnr, views=(0,), failed=(), refined=None, kinds=KINDS) -> Round:
    entry = Round(
        number,
        folder / f"round_{number:04d}",
        {
            **{"instruction": "make it red", "mode": "restyle", "editor": "painter", "seed": 7, "written": "today"},
            **{"edits": [{"failed": dict.fromkeys(failed, "black")}], "round_views": list(views)},
            "metrics": {"trained": {"inside": {"psnr": psnr}, "outside": {}, "object": 150}},
            "seconds": {"editing": 1.0, "all": 10.0},
            **{"snapshot": "scene.safetensors", "scene": "kept", "peak_memory_gib": 1.0, "plan": {"steps": 3}},
            **{"settings": {}, "edited_in": {}, "residuals": {}, "edits_so_far": 1, "steps_done": 3},
        },
    )
    if refined is not None:
        entry.manifest["metrics"]["refined"] = {"inside": {"psnr": refined}, "outside": {}, "object": 150}
    for kind in kinds:
        (entry.folder / kind).mkdir(parents=True)
        for view in views:
            (entry.folder / kind / f"view_{view:04d}.png").touch()
    return entry


def _page(folder, rounds) -> str:
    write_page(folder / "index.html", rounds)
    return (folder / "index.html").read_text(encoding="utf8")


def _drawing(page: str) -> ElementTree.Element:
    (svg,) = (text for text in re.findall(r"<svg.*?</svg>", page, re.S) if f'aria-label="{TITLE}"' in text)
    return ElementTree.fromstring(svg)


def _points(drawing: ElementTree.Element) -> list[tuple[float, float]]:
    points = [tuple(map(float, point.split(","))) for point in drawing.find("polyline").get("points").split()]
    assert points == [(float(dot.get("cx")), float(dot.get("cy"))) for dot in drawing.findall("circle")]
    return points


def test_a_curve_runs_from_0_to_its_highest_value_over_all_rounds(tmp_path):
    """Its axes span 52 to 306 and 126 up to 10: rounds 1, 2, 4 of 12, 24, 18 dB."""
    rounds = [_round(tmp_path, number, psnr) for number, psnr in ((1, 12.0), (2, 24.0), (4, 18.0))]
    drawing = _drawing(_page(tmp_path, rounds))
    assert _points(drawing) == [(52.0, 68.0), (pytest.approx(52 + 254 / 3, abs=0.1), 10.0), (306.0, 39.0)]
    labels = {text.text: (float(text.get("x")), float(text.get("y"))) for text in drawing.findall("text")}
    # Values stand left of the axis at their height, rounds under it at their place.
    assert labels == {"0": (46.0, 130.0), "24": (46.0, 14.0), "1": (52.0, 144.0), "4": (306.0, 144.0)}


def test_a_curve_of_one_round_is_a_dot_in_the_middle(tmp_path):
    assert _points(_drawing(_page(tmp_path, [_round(tmp_path, 1, 24.0)]))) == [(179.0, 10.0)]


def test_a_curve_of_nothing_but_0_lies_halfway(tmp_path):
    assert _points(_drawing(_page(tmp_path, [_round(tmp_path, 1, 0.0)]))) == [(179.0, 68.0)]


def test_a_metric_that_no_round_has_is_not_shown(tmp_path):
    page = _page(tmp_path, [_round(tmp_path, 1, 12.0), _round(tmp_path, 2, 13.0)])
    assert page.count("<svg") == 3 and "LPIPS" not in page and "<th>outside psnr</th>" not in page


def test_the_table_says_what_became_of_each_round(tmp_path):
    rounds = [_round(tmp_path, 1, 12.34, (0, 1, 2), failed=("1", "2")), _round(tmp_path, 2, 20.0, (0,), refined=21.5)]
    assert [metric(entry, "inside.psnr") for entry in rounds] == [12.34, 21.5]
    assert [metric(entry, "outside.psnr") for entry in rounds] == [None, None]
    rows = re.findall(r'<tr><th><a href="(.*?)">(.*?)</a></th>(.*?)</tr>', _page(tmp_path, rounds))
    assert rows == [
        (
            *("round_0001/manifest.json", "Round 1"),
            "<td>12.3</td><td>150</td><td>10</td><td>3 views, 2 views not edited</td>",
        ),
        ("round_0002/manifest.json", "Round 2", "<td>21.5</td><td>150</td><td>10</td><td>1 views, refined</td>"),
    ]


def test_a_round_is_told_in_one_line_by_what_was_measured_last(tmp_path):
    first = _round(tmp_path, 1, 12.34)
    assert round_in_words(first, 3) == "Round 1 of 3: inside 12.3 dB to the edited views, 10 s"
    second = _round(tmp_path, 2, 20.0, (0, 1, 2), failed=("1", "2"), refined=21.5)
    second.manifest["metrics"]["refined"]["outside"] = {"psnr": 48.0}
    assert round_in_words(second, 3) == (
        "Round 2 of 3: inside 21.5 dB to the edited views, outside 48.0 dB, 10 s; "
        "2 views could not be edited, see its manifest"
    )


def test_the_first_three_views_are_shown_at_once(tmp_path):
    page = _page(tmp_path, [_round(tmp_path, 1, 12.0, range(5))])
    assert re.findall(r"<details( open)?><summary>View (\d)", page) == [
        *((" open", view) for view in "012"),
        *(("", view) for view in "34"),
    ]


def test_a_picture_that_was_not_kept_leaves_its_place_empty(tmp_path):
    page = _page(tmp_path, [_round(tmp_path, 1, 12.0), _round(tmp_path, 2, 13.0, kinds=("edited", "mask"))])
    found = re.findall(r"<tr><th>(before|edited|after|mask)</th>(.*?)</tr>", page)
    assert len(found) == 4
    for kind, cells in found:
        first, second = re.findall(r"<td>(.*?)</td>", cells)
        assert f'src="round_0001/{kind}/view_0000.png"' in first
        assert (f'src="round_0002/{kind}/view_0000.png"' in second) == (kind in ("edited", "mask")) == bool(second)


def test_nothing_that_a_manifest_says_and_no_name_of_a_file_is_anything_but_text_and_no_script_would_run(tmp_path):
    """Each field says of itself that it is an element; names of folders are addresses that would be run."""

    class Elements(HTMLParser):
        def __init__(self):
            super().__init__()
            self.found, self.texts = [], []

        def handle_starttag(self, tag, attributes):
            self.found.append((tag, dict(attributes)))

        def handle_data(self, data):
            self.texts.append(data)

    entry = _round(tmp_path, 1, 12.0)
    fields = ("instruction", "mode", "editor", "written")
    for field in fields:
        entry.manifest[field] = f"<script>{field}</script>\" onload=x '"
    (entry.folder / "before" / "view_0000.png").rename(entry.folder / "before" / 'view_0000.x" onerror="x')
    page = Elements()
    page.feed(_page(tmp_path, [entry]))
    shown = "".join(page.texts)
    for field in fields:
        assert f"<script>{field}</script>" in shown, field
    tags = [tag for tag, _ in page.found]
    assert "script" not in tags and not any(name.startswith("on") for _, names in page.found for name in names)
    # A second lock, should an escape be forgotten: https://www.w3.org/TR/CSP3/#directive-script-src
    assert [it["content"] for tag, it in page.found if "http-equiv" in it] == ["script-src 'none'; object-src 'none'"]
    assert tags.index("meta") < tags.index("style") < tags.index("body")

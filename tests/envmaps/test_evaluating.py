"""The paper's table: a row for each encoder and way to move codes, judged by all encoders."""

import json

import pytest
import torch
from PIL import Image

from fasttext2style.envmaps.evaluating import UNTOUCHED, distance_to_nearest, evaluate, evaluation_table
from fasttext2style.envmaps.evaluation_settings import VARIANTS, EvaluationSettings
from fasttext2style.envmaps.files import write_panorama
from fasttext2style.envmaps.folder import open_folder, split
from fasttext2style.envmaps.vae import PanoramaVAE, save_vae
from fasttext2style.envmaps.vae_settings import VAEReport, VAEShape
from fasttext2style.guidance.tiny_encoder import TinyEncoder


def test_the_distance_to_the_nearest_knows_no_direction():
    others = torch.rand(3, 8, 16, 3, generator=torch.Generator().manual_seed(0))
    assert distance_to_nearest(others[1].roll(5, dims=1), others) == pytest.approx(0, abs=1e-3)
    assert distance_to_nearest(torch.zeros(8, 16, 3), torch.full((2, 8, 16, 3), 0.3)) == pytest.approx(0.3, rel=1e-4)


def test_all_rows_are_measured_by_encoders_that_were_and_were_not_optimised(tmp_path):
    for name in "abc":
        light = torch.rand(16, 32, 3, generator=torch.Generator().manual_seed(ord(name)))
        write_panorama(tmp_path / "in" / f"place_{name}.hdr", light)
    torch.manual_seed(0)
    vae = PanoramaVAE(VAEShape("global", 16, "log", (4, 6), 8, 4))
    save_vae(tmp_path / "vae.safetensors", vae, VAEReport())
    encoders = {"one": TinyEncoder(), "two": TinyEncoder()}
    settings = EvaluationSettings(
        ("one", "two"), ("gold",), panoramas=1, steps=1, vae=str(tmp_path / "vae.safetensors")
    )
    report = evaluate(encoders, split(open_folder(tmp_path / "in"), 0), settings, tmp_path / "out")
    assert [row["variant"] for row in report["rows"]] == [UNTOUCHED, *VARIANTS, *VARIANTS]
    for row in report["rows"]:
        found = row["prompts"]["gold"]
        assert set(found["cosines"]) == {"one", "two"} and found["seam"] > 0 and found["nearest"] > 0
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["rows"][3]["optimised"] == "one"
    # Two pictures: before, and the rows of the table, each under a line of 26 pixels.
    assert Image.open(tmp_path / "out" / "sheet_0.png").size[1] == 11 * (64 + 26)
    table = (tmp_path / "out" / "evaluation.md").read_text()
    assert table == evaluation_table(report) and table.count("\n") == 13


def test_the_table_says_own_and_others_apart():
    report = {
        "settings": {"prompts": ["gold"]},
        "rows": [
            {"optimised": "", "variant": UNTOUCHED, "prompts": {"gold": {"cosines": {"a": 0.1, "b": 0.3}, "seam": 1}}},
            {
                "optimised": "b",
                "variant": "fc, tv",
                "prompts": {"gold": {"cosines": {"a": 0.25, "b": 0.9, "c": 0.35}, "seam": 1.234, "seconds": 2}},
            },
        ],
    }
    untouched, row = evaluation_table(report).splitlines()[2:]
    assert untouched == "| - | untouched | - | 0.200 | 1.00 | - | - |"
    assert row == "| b | fc, tv | 0.900 | 0.300 | 1.23 | - | 2.0 |"


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"encoders": ()}, "--encoders"), ({"prompts": ()}, "--prompts"), ({"panoramas": 0}, "--panoramas"),
     ({"steps": 0}, "--steps")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        EvaluationSettings(**settings).check()

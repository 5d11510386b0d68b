"""Which of several things a run styles: what the sentence names, or the number that was given."""

import pytest
import torch

from fasttext2style.scene.files.ply import write_ply
from fasttext2style.toy.scene import toy_scene, write_dataset
from tests.plugin.hosts import style_config, train
from tests.plugin.saved_files import differing_rows, of_ply, of_run

BEAR, BALL, CRATE = slice(0, 17_000), slice(17_000, 19_200), slice(19_200, 20_900)


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capture")
    scene = toy_scene(clutter=1, width=64, height=64)
    write_dataset(scene, folder)
    write_ply(folder / "scene.ply", scene.gaussians.with_sh_degree(3))
    return folder


def _changed(capture, output, prompt: str, by: str = "auto") -> torch.Tensor:
    """[gaussians] which ones a short run changed, by its checkpoint."""
    config = style_config(capture, output, prompt=prompt, steps=2)
    config.load_ply, config.pipeline.object.by = capture / "scene.ply", by
    loaded = of_ply(capture / "scene.ply")
    changed = torch.zeros(len(loaded["means"]))
    changed[list(differing_rows(loaded, of_run(train(config).base_dir)["checkpoint"]))] = 1.0
    return changed


def test_the_thing_that_the_sentence_names_is_styled(capture, tmp_path, capsys):
    changed = _changed(capture, tmp_path, "a blue crate made of gold")
    assert changed[CRATE].mean() > 0.5 and changed[BEAR].sum() == 0 and changed[BALL].sum() == 0
    assert "'blue crate' fits number" in " ".join(capsys.readouterr().out.split())


def test_a_number_is_taken_whatever_the_sentence_says(capture, tmp_path):
    changed = _changed(capture, tmp_path, "a blue crate made of gold", by="1")
    assert changed[BEAR].mean() > 0.5 and changed[CRATE].sum() == 0

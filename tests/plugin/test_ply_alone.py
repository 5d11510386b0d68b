"""A .ply without a capture: views are made around it, and it is styled like any other scene."""

import shlex
import sys

import pytest
import torch
import yaml

from fasttext2style.captures.from_scene import VIEWS
from fasttext2style.cli import entrypoint
from fasttext2style.plugin.runs.live import open_live
from fasttext2style.plugin.runs.recipe import parse_line
from fasttext2style.plugin.style.method import fasttext2style
from fasttext2style.scene.files.export import export
from fasttext2style.scene.files.ply import read_ply, write_ply
from fasttext2style.scene.files.scenes import read_scene
from tests.plugin.hosts import ball_on_floor, make_capture, style_config, train
from tests.plugin.rounds_host import rounds_config, set_up
from tests.plugin.saved_files import differing_rows, of_ply, of_run


def test_a_scene_without_photographs_is_styled_from_views_of_its_own(tmp_path, capsys):
    write_ply(tmp_path / "my ball.ply", ball_on_floor())

    def run():
        config = style_config(tmp_path, tmp_path / "outputs", prompt="red", steps=3)
        config.data = config.pipeline.datamanager.data = config.experiment_name = None
        config.load_ply = tmp_path / "my ball.ply"
        config.pipeline.object.by, config.pipeline.object.radius = "sphere", 0.34
        config.timestamp = "{timestamp}"
        config.set_timestamp()
        return train(config)

    folder = run().base_dir
    said = capsys.readouterr().out
    assert "No --data: my ball.ply gets views of its own" in said and f"{VIEWS} views of my ball.ply around" in said
    (capture,) = (tmp_path / "outputs" / "my ball").glob("capture-*")
    pictures = {path: path.stat().st_mtime_ns for path in (capture / "images").iterdir()}
    assert len(pictures) == VIEWS
    assert folder.is_relative_to(tmp_path / "outputs" / "my ball")
    # What was styled is the file's object; the file's other Gaussians are as they were.
    for saved in of_run(folder).values():
        changed = set(differing_rows(of_ply(tmp_path / "my ball.ply"), saved))
        assert changed and changed <= set(range(150))
    run()
    assert "gets views of its own" not in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (capture / "images").iterdir()} == pictures


def test_rounds_begin_from_a_compact_scene_alone(tmp_path, capsys):
    """What is not the object stays what the file unpacks to, to the bit."""
    path = tmp_path / "ball.spz"
    export(path, ball_on_floor().with_sh_degree(0), torch.ones(300))
    config = rounds_config(tmp_path, tmp_path / "outputs", rounds=1, steps=2)
    config.data = config.pipeline.datamanager.data = config.experiment_name = None
    config.load_ply, config.pipeline.object.file = path, None
    config.pipeline.object.by, config.pipeline.object.radius = "sphere", 0.34
    config.timestamp = "{timestamp}"
    config.set_timestamp()
    trainer = set_up(config)
    trainer.train()
    assert "ball.spz is compact" in capsys.readouterr().out.replace("\n", " ")
    unpacked, styled = read_scene(path), read_ply(trainer.base_dir / "results" / "styled.ply")
    outside = unpacked.means.norm(dim=1) > 0.34
    assert 100 < int(outside.sum()) < 200
    for name in ("means", "quats", "log_scales", "logit_opacities", "sh_dc"):
        assert torch.equal(getattr(styled, name)[outside], getattr(unpacked, name)[outside]), name
    change = styled.sh_dc[~outside] - unpacked.sh_dc[~outside]
    assert float(change[:, 0].mean()) > 0 and float(change[:, 1:].mean()) < 0, "redder"


def test_a_live_session_on_a_scene_is_one_short_line(tmp_path, monkeypatch, capsys):
    """`ft2s live` comes to a line of ns-train, prints it, and runs what it says."""
    ran = []
    monkeypatch.setattr("fasttext2style.plugin.runs.recipe.train.main", ran.append)
    write_ply(tmp_path / "my ball.ply", ball_on_floor())

    def live(*words):
        monkeypatch.setattr(sys, "argv", ["ft2s", "live", *map(str, words)])
        entrypoint()
        name, *line = shlex.split(capsys.readouterr().out.splitlines()[0])
        assert name == "ns-train" and parse_line(line).load_ply == ran[-1].load_ply
        return ran[-1]

    config = live(tmp_path / "my ball.ply", "--encoder", "tiny", "--prompt", "a ball of gold")
    assert (config.method_name, config.live, config.load_ply) == ("fasttext2style", True, tmp_path / "my ball.ply")
    assert (config.data, config.prompt, config.pipeline.encoder) == (None, "a ball of gold", "tiny")
    assert config.is_viewer_enabled()
    config = live("--rounds", tmp_path / "my ball.ply")
    assert (config.method_name, config.live) == ("fasttext2style-ip2p", True)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [(("somebody:code", "theirs"), (fasttext2style.config.pipeline.encoder, "")),
     (("RN50", "/weights/rn50.safetensors"), ("RN50", "/weights/rn50.safetensors"))],
)  # fmt: skip
def test_a_live_session_on_a_run_takes_over_its_scene_and_no_more(tmp_path, monkeypatch, capsys, theirs, ours):
    """Where the viewer listens, and code to import, are not for whoever wrote the run to say."""
    ran = []
    monkeypatch.setattr("fasttext2style.plugin.runs.recipe.train.main", ran.append)
    config = style_config(make_capture(tmp_path / "capture"), tmp_path / "outputs", prompt="gold", steps=3)
    config.viewer.websocket_host, config.viewer.make_share_url = "0.0.0.0", True
    config.pipeline.model.sh_degree = 2
    config.pipeline.encoder, config.pipeline.encoder_weights = theirs
    folder = config.get_base_dir()
    folder.mkdir(parents=True)
    (folder / "config.yml").write_text(yaml.dump(config))
    for name in ("", "config.yml"):
        open_live(folder / name, options=("--output-dir", str(tmp_path / "others")))
        again = ran.pop()
        assert (again.live, again.load_dir, again.load_ply) == (True, folder / "nerfstudio_models", None)
        assert (again.data, again.prompt) == (tmp_path / "capture", "gold")
        assert again.pipeline.datamanager.dataparser.orientation_method == "none"
        assert again.pipeline.model.sh_degree == 2
        assert (again.viewer.websocket_host, again.viewer.make_share_url) == ("127.0.0.1", False)
        assert (again.pipeline.encoder, again.pipeline.encoder_weights) == ours
    for missing in (tmp_path / "missing.ply", tmp_path / "capture", tmp_path / "capture" / "transforms.json"):
        with pytest.raises(ValueError, match=r"expected|Expected"):
            open_live(missing)

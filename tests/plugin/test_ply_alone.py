"""A .ply without a capture: views are made around it, and it is styled like any other scene."""

from fasttext2style.captures.from_scene import VIEWS
from fasttext2style.scene.files.ply import write_ply
from tests.plugin.hosts import ball_on_floor, style_config, train
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

"""Runs that somebody else made are opened by ft2s without running anything that they say."""

import shutil
import sys

import pytest
import yaml

from fasttext2style.cli import entrypoint
from fasttext2style.plug_ins import named_by_others
from fasttext2style.plugin.host.old_runs import read_config
from fasttext2style.trust.own_runs import is_own, note_written
from tests.history.test_accidents import files
from tests.plugin.hosts import style_config
from tests.plugin.rounds_host import rounds_capture, rounds_config

COMMANDS = {
    "select": ("select", "{}", "--by", "auto"),
    "styles": ("styles", "{}"),
    "undo": ("history", "undo", "{}"),
    "redo": ("history", "redo", "{}"),
    "drop": ("history", "drop", "{}", "1"),
    "blend": ("history", "blend", "{}", "1", "0.5"),
    "export": ("export", "{}"),
    "turntable": ("turntable", "{}"),
    "evaluate": ("evaluate", "{}"),
    "reset": ("rounds", "reset", "{}", "--to", "0"),
    "resume": ("rounds", "resume", "{}"),
    "views": ("views", "{}"),
    "grade": ("grade", "{}", "--saturation", "0.5"),
    "envmap set": ("envmap", "set", "{}", "--sky", "sunset"),
    "envmap edit": ("envmap", "edit", "{}", "--prompt", "a snowy night"),
    "compare": ("compare", "{}", "{}/../other"),
    "live": ("live", "{}"),
    "editor train": ("editor", "train", "{}", "--prompt", "turn it into gold", "--editor", "tiny"),
    "editor evaluate": ("editor", "evaluate", "{}", "--prompt", "turn it into gold", "--editor", "tiny"),
}


def ft2s(monkeypatch, *words) -> int:
    monkeypatch.setattr(sys, "argv", ["ft2s", *map(str, words)])
    try:
        entrypoint()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return rounds_capture(tmp_path_factory.mktemp("capture"))


@pytest.fixture
def run_folder(capture, tmp_path):
    """A run of rounds that has not begun, of this user."""
    config = rounds_config(capture, tmp_path / "outputs", rounds=1, steps=1)
    config.pipeline.video_seconds = 0.0
    config.save_config()
    return config.get_base_dir()


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_runs_what_a_config_says(tmp_path, monkeypatch, capsys, command):
    touched, run = tmp_path / "touched", tmp_path / "run"
    run.mkdir()
    (run / "config.yml").write_text(f"!!python/object/apply:os.system ['touch {touched}']")
    assert ft2s(monkeypatch, *(word.replace("{}", str(run)) for word in COMMANDS[command])) == 1
    assert "config.yml cannot be read: " in capsys.readouterr().out.replace("\n", " ")
    assert not touched.exists()


def test_what_our_runs_write_is_read_as_pyyaml_reads_it(run_folder):
    path = run_folder / "config.yml"
    assert read_config(path) == yaml.load(path.read_text(), Loader=yaml.Loader)


ASKS = [
    *("editor: trust_evil:Editor", "encoder: trust_evil:Encoder", "loss: trust_evil:loss"),
    *("make_share_url: true", "websocket_host: 0.0.0.0", "vis: wandb"),
]


def _with(lines: list[str], name: str, value: str) -> list[str]:
    """Lines of a config in which a setting has another value."""
    at = [line.strip().startswith(f"{name}:") for line in lines]
    assert any(at)
    return [f"{line.partition(name)[0]}{name}: {value}" if here else line for line, here in zip(lines, at)]


@pytest.mark.parametrize("asks", ASKS)
def test_resuming_the_run_of_another_needs_trust_for_code_and_for_being_seen(
    run_folder, tmp_path, monkeypatch, capsys, asks
):
    name, value = asks.split(": ")
    touched = tmp_path / "touched"
    (tmp_path / "trust_evil.py").write_text(f"open({str(touched)!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = run_folder / "config.yml"
    lines = path.read_text().splitlines()
    changed = _with(lines, name, value)
    if name in ("loss", "encoder"):  # what is asked for is only loaded when it counts
        changed = _with(_with(changed, "text_weight", "1.0"), "editor", "tiny")
    if name == "loss":
        changed = _with(changed, "encoder", "tiny")
    path.write_text("\n".join(changed) + "\n")
    before = files(run_folder)
    assert ft2s(monkeypatch, "rounds", "resume", run_folder) == 1
    said = capsys.readouterr().out.replace("\n", " ")
    assert "--trust" in said and value in said, said
    assert not touched.exists() and "trust_evil" not in sys.modules
    left = files(run_folder)
    for it in (left, before):
        it.pop(".lock", None)
    assert left == before


def test_settings_of_another_that_are_written_anew_are_not_this_users(capture, tmp_path):
    """`ft2s rounds resume RUN --rounds 3` writes them; code that is not needed today may be named in them."""
    config = rounds_config(capture, tmp_path / "outputs", rounds=1, steps=1)
    config.pipeline.editor, path = "tiny", config.get_base_dir() / "config.yml"
    with named_by_others("a run"):
        config.save_config()
    assert path.is_file() and not is_own(path)
    config.save_config()
    assert is_own(path)


def test_a_segmenter_of_another_is_not_imported_unsaid(run_folder, tmp_path, monkeypatch, capsys):
    touched = tmp_path / "touched"
    (tmp_path / "trust_evil.py").write_text(f"open({str(touched)!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = run_folder / "config.yml"
    config = read_config(path)
    config.pipeline.object.file, config.pipeline.object.text = None, "the ball"
    config.pipeline.object.segmenter, config.pipeline.editor = "trust_evil:Segmenter", "tiny"
    path.write_text(yaml.dump(config))
    assert ft2s(monkeypatch, "rounds", "resume", run_folder) == 1
    said = capsys.readouterr().out.replace("\n", " ")
    assert "--trust" in said and "trust_evil:Segmenter" in said, said
    assert not touched.exists() and "trust_evil" not in sys.modules


def test_an_encoder_of_another_is_not_imported_to_try_sentences(capture, tmp_path, monkeypatch, capsys):
    touched = tmp_path / "touched"
    (tmp_path / "trust_evil.py").write_text(f"open({str(touched)!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = style_config(capture, tmp_path / "outputs")
    config.save_config()
    path = config.get_base_dir() / "config.yml"
    path.write_text("\n".join(_with(path.read_text().splitlines(), "encoder", "trust_evil:Encoder")) + "\n")
    assert ft2s(monkeypatch, "styles", path) == 1
    said = capsys.readouterr().out.replace("\n", " ")
    assert "--trust" in said and "trust_evil:Encoder" in said, said
    assert not touched.exists() and "trust_evil" not in sys.modules


def test_a_run_of_this_user_is_resumed_without_asking_and_a_changed_one_with_trust(
    run_folder, tmp_path, monkeypatch, capsys
):
    moved = tmp_path / "moved"
    shutil.move(run_folder, moved)
    assert ft2s(monkeypatch, "rounds", "resume", moved) == 0, capsys.readouterr().out
    with open(moved / "config.yml", "a") as stream:
        stream.write("# changed\n")
    assert ft2s(monkeypatch, "rounds", "resume", moved, "--refine", "1") == 1
    assert "--trust" in capsys.readouterr().out
    assert ft2s(monkeypatch, "rounds", "resume", moved, "--refine", "1", "--trust") == 0


NAMES_CODE = {
    "pipeline.editor": ("fasttext2style-ip2p", "trust_evil:Editor"),
    "pipeline.encoder": ("fasttext2style", "trust_evil:Encoder"),
    "pipeline.styler.objective.loss": ("fasttext2style", "trust_evil:loss"),
    "pipeline.object.segmenter": ("fasttext2style", "trust_evil:Segmenter"),
    "segmenter": ("fasttext2style", "trust_evil:Segmenter"),
}


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module that leaves a mark when it is imported; returns where that would be."""
    touched = tmp_path / "touched"
    (tmp_path / "trust_evil.py").write_text(f"open({str(touched)!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield touched
    sys.modules.pop("trust_evil", None)


def _recipe(path, capture, method, settings):
    """A recipe of a run that would begin at once, with some settings more."""
    tools = {"encoder": "tiny"} | ({"editor": "tiny"} if method == "fasttext2style-ip2p" else {})
    quick = {"output_dir": str(path.parent / "again"), "vis": "tensorboard", "load_ply": str(capture / "scene.ply")}
    document = {"method": method, "data": str(capture), "prompt": "make it red"}
    document["settings"] = quick | {"pipeline": tools}
    for name, value in settings.items():
        *groups, last = name.split(".")
        inner = document["settings"]
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = value
    path.write_text(yaml.safe_dump(document))
    return path


def _more(name):
    """What else has to be set that a name counts."""
    if name == "pipeline.object.segmenter":
        return {"pipeline.object.by": "text", "pipeline.object.text": "the ball"}
    return {"live": True, "vis": "viewer", "viewer.websocket_port": 7123} if name == "segmenter" else {}


@pytest.mark.parametrize(
    "name, given",
    [
        *((name, "folder") for name in NAMES_CODE),
        *(("pipeline.encoder", given) for given in ("file", "another file of it", "folder without config.yml")),
    ],
)
def test_the_recipe_in_the_run_of_another_imports_nothing_unsaid(
    capture, run_folder, tmp_path, monkeypatch, capsys, evil, name, given
):
    """Though its config.yml is one that this user wrote: the recipe alone may have been changed."""
    method, code = NAMES_CODE[name]
    path = run_folder / ("other.yaml" if given == "another file of it" else "recipe.yaml")
    _recipe(path, capture, method, {name: code, **_more(name)})
    if given == "folder without config.yml":
        (run_folder / "config.yml").unlink()
    assert ft2s(monkeypatch, "run", run_folder if "folder" in given else path) == 1
    said = capsys.readouterr().out.replace("\n", " ")
    assert "--trust" in said and code in said and str(path) in said, said
    assert not evil.exists() and "trust_evil" not in sys.modules


def test_the_recipe_in_the_run_of_another_imports_what_it_names_with_trust(
    capture, run_folder, monkeypatch, capsys, evil
):
    _recipe(run_folder / "recipe.yaml", capture, "fasttext2style", {"pipeline.encoder": "trust_evil:Encoder"})
    for words in ((run_folder, "--trust"), ("--trust", run_folder)):
        sys.modules.pop("trust_evil", None)
        evil.unlink(missing_ok=True)
        assert ft2s(monkeypatch, "run", *words) == 1, "there is no Encoder in it"
        assert "cannot be imported" in capsys.readouterr().out and evil.exists()


def test_a_recipe_of_this_user_names_code_without_asking(capture, run_folder, tmp_path, monkeypatch, capsys, evil):
    """By itself, or in the folder of a run as it was written."""
    alone = _recipe(tmp_path / "mine.yaml", capture, "fasttext2style", {"pipeline.encoder": "trust_evil:Encoder"})
    note_written(_recipe(run_folder / "recipe.yaml", capture, "fasttext2style", {"pipeline.encoder": "trust_evil:E"}))
    for named in (alone, run_folder):
        sys.modules.pop("trust_evil", None)
        assert ft2s(monkeypatch, "run", named) == 1
        said = capsys.readouterr().out
        assert "cannot be imported" in said and "--trust" not in said
        evil.unlink()


def test_a_run_notes_its_recipe_as_this_users_unless_others_named_what_is_in_it(capture, tmp_path):
    config = rounds_config(capture, tmp_path / "outputs", rounds=1, steps=1)
    config.pipeline.editor, path = "tiny", config.get_base_dir() / "recipe.yaml"
    with named_by_others("a run"):
        config.save_config()
    assert path.is_file() and not is_own(path)
    config.save_config()
    assert is_own(path)


@pytest.mark.parametrize(
    "name, value",
    [("viewer.make_share_url", True), ("viewer.websocket_host", "0.0.0.0"), ("vis", "viewer+wandb"), ("vis", "comet")],
)
def test_the_recipe_in_the_run_of_another_is_shown_to_nobody_unsaid(
    capture, run_folder, monkeypatch, capsys, name, value
):
    _recipe(run_folder / "recipe.yaml", capture, "fasttext2style", {name: value})
    assert ft2s(monkeypatch, "run", run_folder) == 1
    said = capsys.readouterr().out.replace("\n", " ")
    assert "--trust" in said and f"{name}: {str(value).lower()}" in said, said
    # What the user says instead is the user's.
    monkeypatch.setattr("fasttext2style.plugin.runs.recipe.train.main", lambda config: None)
    assert ft2s(monkeypatch, "run", run_folder, f"--{name.replace('_', '-')}", _harmless(name)) == 0


def _harmless(name):
    return {"viewer.make_share_url": "False", "viewer.websocket_host": "127.0.0.1", "vis": "tensorboard"}[name]

"""ft2s new: asks until an answer can be used, and what it writes is what was answered."""

import io
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from fasttext2style.commands.guide.asking import Asker
from fasttext2style.commands.guide.estimates import estimate
from fasttext2style.commands.guide.options import Answers
from fasttext2style.commands.guide.questions import Guide
from fasttext2style.plugin.runs.recipe import parse_line
from tests import forked

FT2S = Path(sys.executable).parent / "ft2s"
EYE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
GOLD = "a bear made of gold"


@pytest.fixture()
def place(tmp_path, monkeypatch):
    """A folder to work in: a capture of three photographs with masks, masks that are too few, a run, an old recipe."""
    monkeypatch.chdir(tmp_path)
    frames = []
    for folder in ("bear/images", "bear/masks", "few", "run/nerfstudio_models", "empty"):
        (tmp_path / folder).mkdir(parents=True)
    for view in range(3):
        name = f"images/{view}.jpg"
        Image.effect_noise((64, 48), 80).convert("RGB").save(tmp_path / "bear" / name)
        Image.new("L", (64, 48)).save(tmp_path / "bear" / "masks" / f"{view}.png")
        frames.append({"file_path": name, "transform_matrix": EYE})
    (tmp_path / "bear" / "transforms.json").write_text(json.dumps({"fl_x": 60, "frames": frames}))
    (tmp_path / "few" / "0.png").write_bytes(b"")
    (tmp_path / "run" / "nerfstudio_models" / "step-000000001.ckpt").write_bytes(b"")
    (tmp_path / "old.yaml").write_text("")
    return tmp_path


def _compose(monkeypatch, lines, **given):
    """What comes of answers typed line by line; all must be asked for."""
    typed = io.StringIO("".join(f"{line}\n" for line in lines))
    monkeypatch.setattr(sys, "stdin", typed)
    composed = Guide(Answers(**given), Asker(given.get("yes", False))).compose()
    assert typed.read() == "", "fewer questions than answers"
    assert parse_line(composed.recipe.words()).data == composed.recipe.data, "ns-train takes it"
    return composed


def _words(composed):
    """Of the ns-train line; paths, which are absolute, from the present folder on."""
    return [word.removeprefix(f"{Path.cwd()}/") for word in composed.recipe.words()]


SENTENCE = {
    "capture": "bear",
    "run": "none",
    "object": "auto",
    "wish": "sentence",
    "encoder": "tiny",
    "prompt": GOLD,
    "effort": "usual",
    "output": "gold.yaml",
    "start": "no",
}
INSTRUCTION = SENTENCE | {"wish": "instruction\nrestyle", "encoder": "tiny", "prompt": "turn it into gold"}


def _lines(answers):
    return "\n".join(answers.values()).split("\n")


def test_enter_takes_what_is_proposed(place, monkeypatch):
    composed = _compose(monkeypatch, ["", "", "", "", "", GOLD, "", "", ""])
    assert _words(composed) == ["fasttext2style", "--data", "bear", "--prompt", GOLD, "--encoder", "tiny"]
    assert composed.path == Path("bear-a-bear-made-of-gold.yaml") and composed.runs


@pytest.mark.parametrize(
    "answers, options",
    [
        (SENTENCE, ["--encoder", "tiny"]),
        (SENTENCE | {"run": "run"}, ["--load-dir", "run", "--encoder", "tiny"]),
        (
            SENTENCE | {"object": "masks\nbear/masks"},
            ["--object", "masks", "--pipeline.datamanager.object-masks", "bear/masks", "--encoder", "tiny"],
        ),
        (
            SENTENCE | {"object": "box\n0 -0.5 1\n1,2,3"},
            [
                *["--object", "box", "--pipeline.object.center", "0.0", "-0.5", "1.0"],
                *["--pipeline.object.size", "1.0", "2.0", "3.0", "--encoder", "tiny"],
            ],
        ),
        (
            SENTENCE | {"object": "sphere\n\n0.25"},
            [
                *["--object", "sphere", "--pipeline.object.center", "0.0", "0.0", "0.0"],
                *["--pipeline.object.radius", "0.25", "--encoder", "tiny"],
            ],
        ),
        (SENTENCE | {"object": "everything"}, ["--object", "everything", "--encoder", "tiny"]),
        # By number, and by the beginning of a name.
        (SENTENCE | {"object": "6", "effort": "qui"}, None),
        (
            SENTENCE | {"run": "run", "effort": "thorough"},
            ["--load-dir", "run", "--encoder", "tiny", "--max-num-iterations", "500"],
        ),
        (INSTRUCTION, ["--editor", "tiny", "--pipeline.rounds.schedule.views", "12"]),
        (
            INSTRUCTION | {"wish": "instruction\nreplace"},
            ["--mode", "replace", "--editor", "tiny", "--pipeline.rounds.schedule.views", "12"],
        ),
        (
            INSTRUCTION | {"wish": "2\n3", "run": "run", "effort": "quick"},
            [
                *[
                    "--load-dir",
                    "run",
                    "--mode",
                    "remove",
                    "--editor",
                    "tiny",
                    "--pipeline.rounds.schedule.rounds",
                    "2",
                ],
                *["--pipeline.rounds.schedule.views", "8", "--pipeline.rounds.schedule.steps", "50"],
            ],
        ),
    ],
)
def test_answers_become_the_settings_they_mean(place, monkeypatch, answers, options):
    composed = _compose(monkeypatch, _lines(answers))
    assert composed.recipe.data == place / "bear" and composed.recipe.prompt == answers["prompt"]
    if options is None:
        options = ["--object", "everything", "--encoder", "tiny", "--max-num-iterations", "100"]
        options += ["--reconstruction-steps", "1000"]
    assert _words(composed)[5:] == options
    assert composed.recipe.method == ("fasttext2style" if answers["wish"] == "sentence" else "fasttext2style-ip2p")


def test_encoders_that_need_no_hub_are_all_offered(place, monkeypatch, capsys):
    words = _words(_compose(monkeypatch, _lines(SENTENCE | {"encoder": "2"})))
    assert words[words.index("--encoder") + 1] == "offline"
    assert "things, patterns, materials and colours" in " ".join(capsys.readouterr().out.split())


def test_clicks_later_are_a_live_session_without_a_sentence(place, monkeypatch):
    lines = ["bear", "run", "clicks", "instruction", "restyle", "tiny", "", "no"]
    composed = _compose(monkeypatch, lines)
    words = ["fasttext2style-ip2p", "--data", "bear", "--load-dir", "run", "--live", "True", "--editor", "tiny"]
    assert _words(composed) == words
    assert composed.path == Path("bear-live.yaml")


@pytest.mark.parametrize(
    "question, bad, reason",
    [
        ("capture", "nowhere", "does not exist"),
        ("capture", "empty", "ns-process-data"),
        ("run", "nowhere", "there is no folder nowhere"),
        ("run", "empty", "No checkpoint"),
        ("object", "spear", "did you mean sphere?"),
        ("object", "0", "expected one of auto, masks"),
        ("object", "7", "expected one of auto, masks"),
        ("object", "e\tv", "expected one of auto, masks"),
        ("wish", "pictures", "expected one of sentence, instruction"),
        ("encoder", "ViT-B-33", "Did you mean ViT-B-32"),
        ("encoder", "3", "cannot be downloaded"),
        ("prompt", "", "an answer is needed"),
        ("prompt", "qwrtz plmk", "knows no word of 'qwrtz plmk'"),
        ("prompt", "None", "means nothing on a command line"),
        ("effort", "fast", "expected one of quick, usual, thorough"),
        ("output", "old.yaml", "old.yaml is there already"),
        ("output", "old", "old.yaml is there already"),
        ("output", "nowhere/gold.yaml", "there is no folder nowhere"),
        ("start", "perhaps", "expected one of yes, no"),
    ],
)
def test_a_bad_answer_is_asked_again_with_the_reason(place, monkeypatch, capsys, question, bad, reason):
    answers = SENTENCE | {question: f"{bad}\n{SENTENCE[question]}"}
    composed = _compose(monkeypatch, _lines(answers))
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "That does not work: " in line]
    assert reason in said
    assert _words(composed) == ["fasttext2style", "--data", "bear", "--prompt", GOLD, "--encoder", "tiny"]
    assert not composed.runs


@pytest.mark.parametrize(
    "answers, bad, reason",
    [
        (SENTENCE | {"object": "masks\nBAD\nbear/masks"}, "few", "2 of 3 photographs have no mask"),
        (SENTENCE | {"object": "masks\nBAD\nbear/masks"}, "nowhere", "does not exist"),
        (SENTENCE | {"object": "box\nBAD\n0 0 0\n1 1 1"}, "1 2", "expected three numbers"),
        (SENTENCE | {"object": "box\n0 0 0\nBAD\n1 1 1"}, "1 0 1", "lengths are above 0"),
        (SENTENCE | {"object": "sphere\n0 0 0\nBAD\n1"}, "-1", "above 0"),
        (SENTENCE | {"object": "sphere\n0 0 0\nBAD\n1"}, "nan", "above 0"),
        (INSTRUCTION | {"wish": "instruction\nBAD\nrestyle"}, "colour", "expected one of restyle, replace, remove"),
        (INSTRUCTION | {"encoder": "BAD\ntiny"}, "nothing", "There is no editor 'nothing'"),
        (INSTRUCTION | {"encoder": "BAD\ntiny"}, "empty", "holds no model_index.json"),
        (INSTRUCTION | {"encoder": "BAD\ntiny"}, "timbrooks/instruct-pix2pix", "cannot be downloaded"),
        (INSTRUCTION | {"encoder": "BAD\ntiny"}, "no.such:thing", "cannot be imported"),
    ],
)
def test_bad_answers_to_what_follows_are_asked_again(place, monkeypatch, capsys, answers, bad, reason):
    _compose(monkeypatch, [line.replace("BAD", bad) for line in _lines(answers)])
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "That does not work: " in line]
    assert reason in said


def test_every_question_can_be_answered_by_an_option(place, monkeypatch):
    given = {"data": Path("bear"), "load_dir": "run", "object": "box", "center": (0.0, -0.5, 1.0)}
    given |= {
        "size": (1.0, 2.0, 3.0),
        "wish": "instruction",
        "mode": "replace",
        "editor": "tiny",
        "prompt": "make it red",
    }
    given |= {"effort": "thorough", "output": Path("red.yaml"), "start": False}
    composed = _compose(monkeypatch, [], **given)
    assert _words(composed) == [
        *["fasttext2style-ip2p", "--data", "bear", "--prompt", "make it red", "--load-dir", "run", "--object", "box"],
        *["--pipeline.object.center", "0.0", "-0.5", "1.0", "--pipeline.object.size", "1.0", "2.0", "3.0"],
        *["--mode", "replace", "--editor", "tiny", "--pipeline.rounds.schedule.rounds", "5"],
        *["--pipeline.rounds.schedule.views", "24", "--pipeline.rounds.schedule.steps", "200"],
    ]
    assert composed.path == Path("red.yaml") and not composed.runs


def test_with_yes_nothing_is_asked(place, monkeypatch):
    composed = _compose(monkeypatch, [], yes=True, prompt=GOLD)
    assert _words(composed) == ["fasttext2style", "--data", "bear", "--prompt", GOLD, "--encoder", "tiny"]
    assert composed.runs


@pytest.mark.parametrize(
    "given, reason",
    [
        ({}, "--prompt"),
        ({"prompt": "qwrtz"}, "--prompt qwrtz: the embedded encoder knows no word"),
        ({"prompt": GOLD, "data": Path("nowhere")}, "--data nowhere: "),
        ({"prompt": GOLD, "effort": "fast"}, "--effort fast: expected one of quick"),
        ({"prompt": GOLD, "object": "masks"}, "--object-masks"),
        ({"prompt": GOLD, "output": Path("old.yaml")}, "--output old.yaml: old.yaml is there already"),
    ],
)
def test_an_option_that_cannot_be_used_or_is_missing_is_named(place, monkeypatch, given, reason):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(ValueError) as refusal:
        Guide(Answers(yes=True, **given), Asker(True)).compose()
    assert reason in str(refusal.value)


def test_an_existing_name_is_not_proposed(place, monkeypatch):
    (place / "bear-a-bear-made-of-gold.yaml").write_text("")
    assert _compose(monkeypatch, [], yes=True, prompt=GOLD).path == Path("bear-a-bear-made-of-gold-2.yaml")


def test_a_newer_reconstruction_is_proposed(place, monkeypatch):
    models = place / "outputs" / "bear" / "fasttext2style-scene" / "2026-01-31_120000" / "nerfstudio_models"
    models.mkdir(parents=True)
    (models / "step-000002999.ckpt").write_bytes(b"")
    composed = _compose(monkeypatch, [], yes=True, prompt=GOLD)
    assert f"--load-dir {models.parent} " in " ".join(composed.recipe.words())


def test_a_full_disk_is_told_before_anything_runs(place, monkeypatch, capsys):
    free = type("Usage", (), {"free": 10_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    assert not _compose(monkeypatch, [], yes=True, prompt=GOLD).runs
    assert "0.0 GB are free" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, seconds",
    [
        # The README's rows that the constants come from: what was measured as a whole must come out as a whole.
        (["fasttext2style", "--encoder", "tiny"], 242),
        (["fasttext2style-ip2p", "--editor", "tiny", "--load-dir", "x", "--pipeline.rounds.schedule.views", "12"], 75),
    ],
)
def test_estimates_agree_with_what_was_measured(words, seconds):
    taken = estimate(parse_line([*words, "--data", "bear"]), 96, 512, 512, on_cuda=False)
    assert taken.seconds == pytest.approx(seconds, abs=1)


@pytest.mark.parametrize(
    "words, seconds",
    [
        (["--reconstruction-steps", "7000"], 71),
        (["--load-dir", "x"], 11),
        (["--live", "True", "--reconstruction-steps", "7000"], 67),
        (["--reconstruction-steps", "7001"], None),
        ([], None),
    ],
)
def test_on_a_gpu_an_estimate_is_what_an_h200_took_and_says_so(words, seconds):
    """As far as the table goes: `bear`, reconstructed in 7,000 steps, the embedded encoder."""
    taken = estimate(parse_line(["fasttext2style", "--encoder", "tiny", *words, "--data", "bear"]), 96, 512, 512, True)
    assert taken.seconds == (None if seconds is None else pytest.approx(seconds, abs=1))
    said = "time not measured yet" if seconds is None else f"about {seconds} s on an H200 (other GPUs differ)"
    assert taken.time == said


def test_on_a_gpu_it_is_said_that_others_than_the_h200_differ(place, monkeypatch, capsys):
    monkeypatch.setattr(Guide, "on_cuda", True)
    composed = _compose(monkeypatch, _lines(SENTENCE | {"effort": "quick"}))
    assert composed.recipe.time == "about 69 s on an H200 (other GPUs differ)"
    said = capsys.readouterr().out
    assert "As measured on one NVIDIA H200; other GPUs differ (docs/measurements.md)." in said
    assert "\nAbout 69 s on an H200 (other GPUs differ); " in said


@pytest.mark.parametrize("words", [["fasttext2style", "--encoder", "ViT-B-32"], ["fasttext2style-ip2p"]])
def test_what_nobody_measured_is_not_estimated(words):
    for on_cuda in (False, True):
        taken = estimate(parse_line([*words, "--data", "bear"]), 96, 512, 512, on_cuda)
        assert taken.seconds is None and taken.time == "time not measured yet" and taken.bytes > 1e8


# --- as a program -----------------------------------------------------------------------------------------------------


INTERRUPT = b"\x03"
"""Ctrl-C."""


def _in_a_terminal(folder, answers):
    """Run `ft2s new` in a terminal of its own; types each answer at its prompt. Exit code and text."""
    terminal, inside = pty.openpty()
    name = os.ttyname(inside)
    process = forked.start(["ft2s", "new"], folder, name, name)
    text, asked, waiting, last, asked_at = "", 0, list(answers), b"", time.monotonic()
    deadline = time.monotonic() + 240
    while process.is_alive() or select.select([terminal], [], [], 0)[0]:
        if time.monotonic() > deadline:
            process.kill()
        if select.select([terminal], [], [], 0.1)[0]:
            text += os.read(terminal, 4096).decode(errors="replace")
        prompts = text.count("> ")
        if prompts > asked and text.endswith("> ") and waiting:
            asked = prompts
            last, asked_at = waiting.pop(0), time.monotonic()
            os.write(terminal, last)
        elif last == INTERRUPT and time.monotonic() > asked_at + 10:
            # Python may swallow one that comes in the midst of an import; a person presses again, too.
            asked_at = time.monotonic()
            os.write(terminal, last)
    os.close(inside)
    os.close(terminal)
    process.join()
    return process.exitcode, text


def test_a_dialogue_in_a_terminal_writes_a_recipe(place):
    answers = ["bear", "", "2", "nowhere", "bear/masks", "", "tiny", GOLD, "quick", "", "no"]
    code, text = _in_a_terminal(place, [f"{answer}\n".encode() for answer in answers])
    assert code == 0, text
    assert "3 photographs of 64 x 48 pixels" in text and "does not exist" in text
    assert (
        "Written: bear-a-bear-made-of-gold.yaml" in text
        and f"ns-train fasttext2style --data {place}/bear" in text.replace("\r\n", "")
    )
    recipe = (place / "bear-a-bear-made-of-gold.yaml").read_text()
    assert "prompt: a bear made of gold" in recipe and "max_num_iterations: 100" in recipe


def test_ctrl_c_leaves_with_nothing_written(place):
    before = sorted(place.iterdir())
    code, text = _in_a_terminal(place, [b"bear\n", b"\n", INTERRUPT])
    assert code == 130, text
    assert "Nothing was written." in text and "Traceback" not in text
    assert sorted(place.iterdir()) == before


def test_without_answers_it_leaves_with_nothing_written(place):
    before = sorted(place.iterdir())
    done = subprocess.run([FT2S, "new"], cwd=place, input="bear\n", capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Nothing was written." in done.stdout and "Traceback" not in done.stdout + done.stderr
    assert "--yes" in done.stdout
    assert sorted(place.iterdir()) == before

"""A training from the command line: loads, says what happens, and leaves a folder that explains itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from fasttext2style.editor_training.cases import EditCases, split_cases
from fasttext2style.editor_training.evaluation import (
    Editor,
    compare_editors,
    comparison_sheet,
    comparison_table,
    edits_of,
)
from fasttext2style.editor_training.magic_brush import INDEX, is_magic_brush, read_magic_brush
from fasttext2style.editor_training.page import write_sample_sheet, write_training_page
from fasttext2style.editor_training.policy import EditorPolicy, Rollouts
from fasttext2style.editor_training.settings import SamplingConfig, ToyConfig, TrainingConfig
from fasttext2style.editor_training.toy_cases import toy_cases
from fasttext2style.editor_training.trained_on import BOOK, Pictures, rows_among, trained_on, unseen_by_all
from fasttext2style.editor_training.training import EditorTraining
from fasttext2style.editors.diffusion.lora import ATTENTION, CONVOLUTIONS
from fasttext2style.editors.diffusion.processes import Processes
from fasttext2style.editors.load import load_editor
from fasttext2style.evaluation.report import write_png, write_report
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.terminal.console import say
from fasttext2style.terminal.progress import PhaseProgress
from fasttext2style.trust.lock import WriteLock

TOY = "toy"


def cases_of_data(data: str, toy: ToyConfig, side: int, at_most: int = 0) -> EditCases:
    """Of the word "toy", or of a folder in MagicBrush's format.

    Raises:
        ValueError: neither, or damaged.
    """
    if data == TOY:
        toy.check()
        return toy_cases(min(at_most or toy.cases, toy.cases), toy.data_seed, toy.size, toy.kinds)
    folder = Path(data).expanduser()
    if is_magic_brush(folder):
        return read_magic_brush(folder, side, at_most)
    raise ValueError(
        f"{data} is no run (a folder with config.yml) and no data set (a folder with {INDEX} or "
        f'data/train-*.parquet), nor the word "{TOY}".'
    )


def policy_of(
    editor: str,
    settings: Mapping[str, Any],
    sampling: SamplingConfig,
    rank: int = 0,
    seed: int = 0,
    lora_on: Literal["attention", "all"] = "attention",
) -> EditorPolicy:
    """An editor by name, on this process's GPU if there is one."""
    device = Processes().device
    targets = ATTENTION if lora_on == "attention" else (*ATTENTION, *CONVOLUTIONS)
    return EditorPolicy(load_editor(editor, device, **settings), sampling, rank, seed, targets)


def tune(
    policy: EditorPolicy,
    cases: EditCases,
    config: TrainingConfig,
    output: Path,
    encoder: TextImageEncoder | None,
    resumes: bool,
) -> Path:
    """Train and show; returns the LoRA.

    Raises:
        ValueError: settings, cases or a reward that cannot be learned from; a folder that holds another training.
    """
    trained_on, held_out = split_cases(cases, config.held_out)
    processes = Processes()
    with WriteLock(output) if processes.is_first else nullcontext():
        training = EditorTraining(policy, trained_on, held_out, config, output, encoder, processes)
        if resumes:
            training.resume()
        elif training.checkpoint.exists():
            raise ValueError(
                f"{output} holds a training already: go on with it (--resume True), or name another --output."
            )
        try:
            if not training.writes:
                training.run()
                return training.lora
            _say_plan(training)
            _run(training)
        except KeyboardInterrupt:
            if training.writes:
                _say_kept(training, "Interrupted")
            raise SystemExit(130) from None
        except (ValueError, OSError) as error:
            if not training.history:
                raise
            raise ValueError(f"{str(error).rstrip('.')}. {_kept(training)}") from error
    say(_verdict(training))
    say(f"LoRA: {training.lora}\nCurves and samples: {output / 'index.html'}")
    return training.lora


def compare(
    editors: Mapping[str, Editor],
    trainings: Mapping[str, Pictures | None],
    cases: EditCases,
    encoder: TextImageEncoder | None,
    output: Path,
) -> dict[str, Any]:
    """Measure editors side by side: comparison.json, comparison.md and comparison.png in the folder, and on screen.

    Args:
        trainings: of each editor that was trained, what on, if that is known. Measured are the cases that none of them
            had; all, where there are none, and the report says how many each of them had.
    """
    measured = unseen_by_all(cases, trainings.values())
    report, pictures = compare_editors(editors, measured, encoder)
    report |= {
        "names": list(measured.names),
        "left_out": len(cases) - len(measured),
        "trained_on": {
            name: None if known is None else len(rows_among(measured, known)) for name, known in trainings.items()
        },
    }
    table = comparison_table(report) + _splits(report)
    write_report(output / "comparison.json", report)
    with atomic_write(output / "comparison.md") as stream:
        stream.write(table.encode())
    write_png(output / "comparison.png", comparison_sheet(measured, pictures))
    say(table)
    say(f"Table, JSON and pictures: {output}")
    return report


def compared_editors(
    editor: str, settings: Mapping[str, Any], loras: tuple[Path, ...], sampling: SamplingConfig, seed: int, batch: int
) -> tuple[dict[str, Editor], dict[str, Pictures | None], int]:
    """The editor as it is, and with each LoRA; what each LoRA was trained on; and the editor's native size.

    Raises:
        ValueError: a LoRA that cannot be had, or two of one name, or one whose training.json is damaged.
    """
    trainings: dict[str, Pictures | None] = {}
    for lora in loras:
        name = f"{lora.parent.name}/{lora.name}"
        if name in trainings:
            raise ValueError(f"Two LoRAs are called {name}; put them into folders of different names")
        trainings[name] = trained_on(lora)
    untuned = policy_of(editor, settings, sampling)
    found = {editor: edits_of(untuned, seed, batch)}
    for name, lora in zip(trainings, loras):
        policy = policy_of(editor, {**settings, "lora": str(lora)}, sampling)
        found[name] = edits_of(policy, seed, batch)
    return found, trainings, untuned.native_size


def _splits(report: Mapping[str, Any]) -> str:
    """Below the table: what of the measured cases the editors had been trained on."""
    if not report["trained_on"]:
        return ""
    lines, count = [], report["cases"]
    if report["left_out"]:
        total = count + report["left_out"]
        lines.append(f"Measured are {count} of {total} cases; a LoRA of the table was trained on the others.")
    for name, among in report["trained_on"].items():
        if among is None:
            lines.append(f"What {name} was trained on is not known: no {BOOK} beside it says so.")
        elif among:
            lines.append(
                f"{name} was trained on {among} of the {count} cases measured, where it may look better than "
                "elsewhere: take more cases (--at-most), or other data."
            )
        else:
            lines.append(f"{name} was trained on none of the {count} cases measured.")
    return "\n" + "\n\n".join(lines) + "\n"


def _run(training: EditorTraining) -> None:
    from torch.utils.tensorboard import SummaryWriter

    done = len(training.history)
    with (
        SummaryWriter(str(training.folder / "tensorboard")) as board,
        PhaseProgress("Tuning", training.config.epochs + 1, done) as progress,
    ):

        def tell(record: dict[str, Any], rollouts: Rollouts | None) -> None:
            epoch = record["epoch"]
            for name, value in _scalars(record).items():
                board.add_scalar(name, value, epoch)
            if rollouts is not None:
                sheet = training.folder / "samples" / f"epoch_{epoch:04d}.png"
                write_sample_sheet(sheet, training.held_out, rollouts)
            about = f"{training.policy.name}, {training.config.method}, reward {' '.join(training.config.reward)}"
            write_training_page(training.folder / "index.html", "An editor is tuned", about, training.history)
            progress.update(epoch, _note(record))

        training.run(tell)


def _note(record: Mapping[str, Any]) -> str:
    """Of an epoch, for the bar."""
    at = record.get("held_out", record)
    if "reward" not in at:
        return ""
    parts = ", ".join(f"{name} {value:.4f}" for name, value in at.get("parts", {}).items())
    return f"{'held-out ' if 'held_out' in record else ''}reward {at['reward']:.4f} ({parts})"


def _scalars(record: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """All numbers of an epoch by their path, for TensorBoard."""
    found: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name != "epoch":
            found[prefix + name] = float(value)
    return found


def _say_plan(training: EditorTraining) -> None:
    config, pictures = training.config, len(dict.fromkeys(training.cases.names))
    say(
        f"Tuning {training.policy.name} by {config.method} on {pictures} pictures with "
        f"{len(dict.fromkeys(training.cases.instructions))} instructions, measured on {len(training.held_out)} others; "
        f"{sum(parameter.numel() for parameter in training.policy.parameters):,} weights of a LoRA learn."
    )


def _kept(training: EditorTraining) -> str:
    epoch = training.history[-1]["epoch"]
    again = f"--output {quote(str(training.folder))} --resume True"
    return f"{training.folder} keeps all up to epoch {epoch}, the last complete one; go on with {again}."


def _say_kept(training: EditorTraining, why: str) -> None:
    say(f"{why}. {_kept(training)}" if training.history else f"{why}; no epoch was complete.")


def _verdict(training: EditorTraining) -> str:
    """What was learned, on the held-out cases: the last measurement beside the first."""
    measured = [record["held_out"] for record in training.history if "held_out" in record]
    first, last = measured[0], measured[-1]
    lines = [f"Held-out reward: {first['reward']:.4f} before, {last['reward']:.4f} after."]
    names = {
        "outside_change": "Change outside the mask",
        "inside_change": "Change inside",
        "asked": "Asked colour reached",
    }
    for name, words in names.items():
        if name in first["measures"]:
            lines.append(f"{words}: {first['measures'][name]:.4f} before, {last['measures'][name]:.4f} after.")
    return "\n".join(lines)

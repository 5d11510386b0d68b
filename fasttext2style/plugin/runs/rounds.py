"""A run of rounds on disk: resumed, or set back to the end of any round."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from shlex import quote

from nerfstudio.scripts.train import train_loop

from fasttext2style.history.steps import named_folder
from fasttext2style.plugin.host.checkpoints import checkpoints_in
from fasttext2style.plugin.host.old_runs import read_config
from fasttext2style.plugin.nerf.trainer import NerfTrainerConfig
from fasttext2style.plugin.rounds.trainer import RoundsTrainerConfig
from fasttext2style.plugin.runs.field_run import FieldRun, open_any_run
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.gaussian_subject import scene_of_round
from fasttext2style.rounds.page import write_page
from fasttext2style.terminal.console import say
from fasttext2style.trust.lock import WriteLock
from fasttext2style.trust.text import one_line


def resume_run(folder: Path, rounds: int | None = None, refine: int = 0, workers: str | None = None) -> None:
    """Continue after the last complete round, or refine that round without new edits.

    `rounds` changes their total number, `workers` who edits; everything else is as config.yml says. The run may have
    been moved.

    Raises:
        ValueError: not a run of fasttext2style-ip2p or fasttext2style-nerf.
    """
    folder = named_folder(folder)
    config = _read_config(folder)
    if getattr(config, "live", False):
        raise ValueError(
            f"{folder} is a live session. Continue it with:  ns-train {one_line(str(config.method_name))} --live True "
            f"--load-dir {quote(str(folder / config.relative_model_dir))} ..."
        )
    config.run_folder = folder
    if workers is not None:
        config.pipeline.workers = workers
    if rounds is not None:
        done = len(RoundsFolder(folder / "rounds").rounds()) - 1
        if rounds < max(1, done):
            raise ValueError(
                f"--rounds is how many in all, {max(1, done)} or more here, got {rounds}. To go back: "
                f"ft2s rounds reset {quote(str(folder))} --to ROUND"
            )
        config.pipeline.rounds.schedule.rounds = rounds
        config.save_config()
    config.refine = refine
    train_loop(0, 1, config)


def reset_run(folder: Path, to: int) -> None:
    """Set rounds after `to` aside, never deleting them, and show the scene as it was then; 0 is before any edit.

    Raises:
        ValueError: there is no such round.
    """
    folder = named_folder(folder)
    _read_config(folder)
    books = RoundsFolder(folder / "rounds")
    if not (books.folder(to) / "manifest.json").is_file():
        raise ValueError(f"There is no complete round {to} in {books.path}; see: ft2s rounds list {quote(str(folder))}")
    with WriteLock(folder):
        aside = _reset(folder, books, to)
    say(
        f"The scene is back at the end of round {to}."
        + (f" Later rounds are kept in {aside}." if aside is not None else " There were no later rounds.")
        + f" Continue from here with:  ft2s rounds resume {quote(str(folder))}"
    )


def _reset(folder: Path, books: RoundsFolder, to: int) -> Path | None:
    """The checkpoint, the rounds and their page, or, on a full disk, nothing."""
    rounds = books.rounds(up_to=to)
    with ExitStack() as stack:
        if checkpoints_in(folder / "nerfstudio_models"):
            run = open_any_run(folder)
            if isinstance(run, FieldRun):
                stack.enter_context(run.setting_back(to))
            else:
                stack.enter_context(run.saving())(*scene_of_round(rounds, to))
        with books.setting_aside(to) as aside:
            page = books.path / "index.html"
            with books.writing(page):
                if to > 0:
                    write_page(page, rounds)
                else:
                    page.unlink(missing_ok=True)
    return aside


def _read_config(folder: Path) -> RoundsTrainerConfig | NerfTrainerConfig:
    path = folder / "config.yml"
    config = read_config(path) if path.is_file() else None
    if not isinstance(config, RoundsTrainerConfig | NerfTrainerConfig):
        raise ValueError(
            f"{folder} is not a run of fasttext2style-ip2p or fasttext2style-nerf: expected a folder with "
            "config.yml, such as outputs/bear/fasttext2style-ip2p/2026-01-31_120000."
        )
    return config

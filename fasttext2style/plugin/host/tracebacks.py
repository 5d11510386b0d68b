"""Whatever ends nerfstudio's commands on runs of ours is told in a sentence.

They open a run, and write what comes of it, outside of any code of ours: Python's hook for errors that nobody caught is
the one place for all. Runs of other methods are left to it as it was.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

from fasttext2style.plugin.host.checkpoints import checkpoints_in, read_checkpoint
from fasttext2style.plugin.host.errors import as_host_said, is_of_a_library
from fasttext2style.plugin.host.host_commands import COMMANDS, NOTHING, named_config
from fasttext2style.plugin.host.old_runs import read_config
from fasttext2style.terminal.console import say


def tell_in_words() -> None:
    """For this process; other commands keep the hook that there is, ns-train but for a --load-config that is none."""
    usual = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        command = Path(sys.argv[0]).stem
        if command not in (*COMMANDS, "ns-train"):
            usual(kind, error, trace)
            return
        config = named_config(sys.argv)
        if command == "ns-train":
            wrong = "" if config == NOTHING or isinstance(error, KeyboardInterrupt) else _wrong_with(config)
            if wrong:
                say(f"\nError: {wrong}", style="bold red")
            else:
                usual(kind, error, trace)
        elif _is_of_others(config):
            usual(kind, error, trace)
        elif isinstance(error, KeyboardInterrupt):
            say("Interrupted.")
        else:
            say(f"\nError: {wrong_with_run(config) or _told(command, error)}", style="bold red")

    sys.excepthook = tell


def wrong_with_run(config: Path) -> str:
    """Why nerfstudio cannot open the run of a config.yml, in words; empty if it can."""
    if wrong := _wrong_with(config):
        return wrong
    try:
        folder = read_config(config).get_checkpoint_dir()
        checkpoints = checkpoints_in(folder)
        if not checkpoints:
            return f"No checkpoint step-*.ckpt in {folder}, where {config} has them: was the run stopped, or moved?"
        strangers = sorted(path.name for path in folder.iterdir() if path not in checkpoints)
        if strangers:
            return f"nerfstudio takes every file in {folder} for a checkpoint: take out {', '.join(strangers)}."
        wanted = checkpoints[-1].with_name(f"step-{int(checkpoints[-1].stem[5:]):09d}.ckpt")
        if checkpoints[-1] != wanted:
            return f"nerfstudio looks for {wanted}: give {checkpoints[-1].name} that name."
        read_checkpoint(checkpoints[-1])
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def _wrong_with(config: Path) -> str:
    if not config.is_file():
        what = "is a folder" if config.is_dir() else "does not exist"
        example = "outputs/bear/fasttext2style/2026-01-31_120000/config.yml"
        return f"--load-config {config} {what}: give the config.yml of a run, such as {example}."
    try:
        read_config(config)
    except ValueError as error:
        return "" if _is_of_others(config) else str(error)
    return ""


def _is_of_others(config: Path) -> bool:
    try:
        text = config.read_bytes()
    except OSError:
        return False
    return b"!!python/object" in text and b"fasttext2style" not in text


def _told(command: str, error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return str(error)
    if isinstance(error, ValueError) and not is_of_a_library(error):
        return str(error)
    return (
        f"{command} cannot do it ({as_host_said(error)}). An option that does not fit the run is the usual reason: "
        f"{command} --help tells of them."
    )

"""ft2s: what fasttext2style does besides nerfstudio's own commands."""

from __future__ import annotations

import sys
from typing import Annotated

import tyro

from fasttext2style.commands.capture import Capture
from fasttext2style.commands.compare import Compare
from fasttext2style.commands.demo import Demo
from fasttext2style.commands.editor import Editor
from fasttext2style.commands.envmap import Envmap
from fasttext2style.commands.evaluate import Evaluate
from fasttext2style.commands.export import Export
from fasttext2style.commands.grade import Grade
from fasttext2style.commands.history import History
from fasttext2style.commands.live import Live
from fasttext2style.commands.new import New
from fasttext2style.commands.rounds import Rounds
from fasttext2style.commands.run import Run
from fasttext2style.commands.select import Select
from fasttext2style.commands.styles import Styles
from fasttext2style.commands.turntable import Turntable
from fasttext2style.commands.views import Views
from fasttext2style.commands.words import Words
from fasttext2style.plugin.host.chatter import silence_known_warnings
from fasttext2style.plugin.host.quick_start import frames_without_source
from fasttext2style.terminal.console import errors_in_words, interrupts_in_words

Command = (
    Annotated[Capture, tyro.conf.subcommand("capture", prefix_name=False)]
    | Annotated[Compare, tyro.conf.subcommand("compare", prefix_name=False)]
    | Annotated[Demo, tyro.conf.subcommand("demo", prefix_name=False)]
    | Annotated[Editor, tyro.conf.subcommand("editor", prefix_name=False)]
    | Annotated[Envmap, tyro.conf.subcommand("envmap", prefix_name=False)]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate", prefix_name=False)]
    | Annotated[Export, tyro.conf.subcommand("export", prefix_name=False)]
    | Annotated[Grade, tyro.conf.subcommand("grade", prefix_name=False)]
    | Annotated[History, tyro.conf.subcommand("history", prefix_name=False)]
    | Annotated[Live, tyro.conf.subcommand("live", prefix_name=False)]
    | Annotated[New, tyro.conf.subcommand("new", prefix_name=False)]
    | Annotated[Rounds, tyro.conf.subcommand("rounds", prefix_name=False)]
    | Annotated[Run, tyro.conf.subcommand("run", prefix_name=False)]
    | Annotated[Select, tyro.conf.subcommand("select", prefix_name=False)]
    | Annotated[Styles, tyro.conf.subcommand("styles", prefix_name=False)]
    | Annotated[Turntable, tyro.conf.subcommand("turntable", prefix_name=False)]
    | Annotated[Views, tyro.conf.subcommand("views", prefix_name=False)]
    | Annotated[Words, tyro.conf.subcommand("words", prefix_name=False)]
)


def entrypoint() -> None:
    """The console script `ft2s`."""
    words = sys.argv[1:]
    if words[:1] in (["run"], ["live"]):
        # What follows the recipe or the scene is ns-train's.
        named = next((at for at, word in enumerate(words[1:], 1) if not word.startswith("-")), len(words))
        if words[named + 1 :]:
            words = [*words[: named + 1], "--", *words[named + 1 :]]
    silence_known_warnings()
    with interrupts_in_words(), errors_in_words(), frames_without_source():
        command = tyro.cli(
            Command,
            args=words,
            description="Type a sentence, and one object of a 3D Gaussian Splatting scene takes on that style. "
            "Captures are styled by nerfstudio's own command: ns-train fasttext2style --data CAPTURE --prompt SENTENCE",
            # `ft2s rounds reset RUN --to 1`, not `--action.to 1`.
            config=(tyro.conf.OmitArgPrefixes,),
        )
        command.run()

"""ft2s new: from a capture to a run, by questions."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from fasttext2style.commands.guide.options import Answers
from fasttext2style.terminal.console import say
from fasttext2style.trust.text import one_line


@dataclass(kw_only=True)
class New(Answers):
    """Answer some questions about a capture; the recipe that comes of it is written and run.

    Whatever is given as an option is not asked. Ctrl-C leaves, with nothing written.
    """

    def run(self) -> None:
        print("A few questions. Enter takes what is proposed, Ctrl-C leaves with nothing written.", flush=True)
        from fasttext2style.commands.guide.asking import Asker
        from fasttext2style.commands.guide.questions import Guide
        from fasttext2style.scene.files.atomic import atomic_write

        try:
            composed = Guide(self, Asker(self.yes)).compose()
        except (EOFError, KeyboardInterrupt) as end:
            print("\nNothing was written.", flush=True)
            if isinstance(end, EOFError):
                print("Without a terminal, give the answers as options (ft2s new --help), or add --yes.")
            raise SystemExit(130 if isinstance(end, KeyboardInterrupt) else 1) from None
        with atomic_write(composed.path) as stream:
            stream.write(composed.text.encode())
        again = f"ft2s run {shlex.quote(str(composed.path))}"
        say(f"\nWritten: {composed.path}. Again, at any time:  {again}", wrap=False)
        if composed.runs:
            from fasttext2style.plugin.runs.recipe import run_recipe

            run_recipe(composed.recipe)
        else:
            say(one_line(shlex.join(["ns-train", *composed.recipe.words()]), 100_000), wrap=False)

"""`ns-train fasttext2style --live True`: the scene in nerfstudio's viewer, and a session in place of training."""

from __future__ import annotations

import logging
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import cast

from nerfstudio.engine.trainer import Trainer, TrainerConfig
from nerfstudio.utils import writer
from nerfstudio.viewer.viewer import Viewer

from fasttext2style.history.history import History
from fasttext2style.live.action import Action
from fasttext2style.live.desk import Desk
from fasttext2style.live.scene import LiveScene
from fasttext2style.live.session import LiveSession
from fasttext2style.panel.panel import LivePanel
from fasttext2style.plugin.host.allocator import keep_what_is_there, share_arenas
from fasttext2style.plugin.host.chatter import address
from fasttext2style.plugin.host.checkpoints import checkpoint_path
from fasttext2style.plugin.host.datamanager import SceneDatamanager
from fasttext2style.plugin.host.model import SceneModel
from fasttext2style.plugin.viewer.model_host import ModelHost
from fasttext2style.plugin.viewer.viewer import LiveViewer
from fasttext2style.recipes.recipe import parse_recipe
from fasttext2style.recipes.written import recipe_of
from fasttext2style.terminal.console import say
from fasttext2style.trust.text import one_line


def run_live(trainer: Trainer, history: History, action: Action, prompt: str, segmenter: str) -> None:
    """Open the session and do what is asked for until Ctrl-C; then save.

    Args:
        trainer: set up, with a viewer and a scene; it does not train.
        history: of its run.
        action: what is done with the object.
        prompt: stands in the sentence's field at first.
        segmenter: finds an object by a text.

    Raises:
        ValueError: the first checkpoint cannot be written, or the history is one of another scene.
    """
    share_arenas()
    session, shown = open_session(trainer, history, action, prompt, segmenter)
    keep_what_is_there()
    say(f"\nReady: open {address(shown.viewer)} in a browser. Ctrl-C saves and quits.\n", style="bold")
    with _ended_by_signals(session), _tracebacks_on_the_terminal():
        session.run(idle=writer.write_out_storage)
    try:
        path = save_or_rescue(session)
    finally:
        shown.close()
    say(f"Saved: {path}")
    say(one_line(f"To continue:  {command_to_continue(trainer.config, path)}", 100_000), wrap=False)
    trainer.shutdown()


def save_or_rescue(session: LiveSession) -> Path:
    """Save at the end; a scene whose run cannot be written is kept elsewhere.

    Raises:
        ValueError: it could not be saved, and where it is.
    """
    try:
        return session.scene.save()
    except (ValueError, OSError) as error:
        raise ValueError(f"{error} The scene was written to {session.scene.rescue()}.") from error


def command_to_continue(config: TrainerConfig, checkpoints: Path) -> str:
    """The line that opens this session again, to be pasted into a terminal."""
    again = copy(config)
    again.load_dir, again.load_checkpoint = checkpoints, None
    again.pipeline = copy(config.pipeline)
    for begun_with in ("load_ply", "environment"):
        setattr(again, begun_with, None)
    if hasattr(again.pipeline, "style_image"):
        setattr(again.pipeline, "style_image", None)  # noqa: B010 (its type is another method's); a step has it
    return shlex.join(["ns-train", *parse_recipe(recipe_of(again, "a session to go on with")).words()])


def open_session(
    trainer: Trainer, history: History, action: Action, prompt: str, segmenter: str
) -> tuple[LiveSession, LiveViewer]:
    """A session on the trainer's scene, saved for the first time, with its panel in the trainer's viewer; see above."""
    model, data = cast(SceneModel, trainer.pipeline.model), cast(SceneDatamanager, trainer.pipeline.datamanager)
    data.train_dataparser_outputs.save_dataparser_transform(trainer.base_dir / "dataparser_transforms.json")
    trainer.pipeline.eval()
    cameras = data.cameras("train")

    def save() -> Path:
        trainer.step += 1
        trainer.save_checkpoint(trainer.step)
        return trainer.checkpoint_dir

    trainer.step = 0
    earlier = checkpoint_path(trainer.config)
    desk = Desk(trainer.base_dir, None if earlier is None else earlier.parent.parent)
    scene = LiveScene(ModelHost(model, save), cameras, history, trainer.base_dir, trainer.train_lock, desk)
    session = LiveSession(scene)
    # From now on history.json and this checkpoint can bring everything back, whatever ends the program.
    scene.save()
    scene.warm_up()
    viewer = trainer.viewer_state
    assert isinstance(viewer, Viewer), "setup() refuses a live session without viewer"
    trainer._init_viewer_state()
    shown = LiveViewer(viewer, model, cameras, scene)
    LivePanel(session, shown, action, prompt, segmenter)
    return session, shown


@contextmanager
def _ended_by_signals(session: LiveSession) -> Iterator[None]:
    """The first Ctrl-C (or kill) ends the session at its next step, the second one at once."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, _: object) -> None:
        say("Stopping after this step. Press Ctrl-C again to quit now.")
        session.close()
        for other in before:
            signal.signal(other, signal.default_int_handler)

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Terminal(logging.Handler):
    """Shows what was logged, as it is."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


@contextmanager
def _tracebacks_on_the_terminal() -> Iterator[None]:
    """What a session logs (unexpected errors of its jobs, with their tracebacks) is shown here, and nowhere twice."""
    log, handler = logging.getLogger("fasttext2style"), _Terminal()
    propagates = log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagates

"""`ns-train fasttext2style --live True`: the scene in nerfstudio's viewer, and a session in place of training."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from nerfstudio.utils import writer
from nerfstudio.utils.rich_utils import CONSOLE
from nerfstudio.viewer.viewer import Viewer

from fasttext2style.live.action import Action
from fasttext2style.live.session import LiveSession
from fasttext2style.plugin.viewer.panel import LivePanel
from fasttext2style.plugin.viewer.viewer import LiveViewer

if TYPE_CHECKING:
    from fasttext2style.plugin.style.trainer import StyleTrainer


def run_live(trainer: StyleTrainer, action: Action) -> None:
    """Open the session and do what is asked for until Ctrl-C; then save.

    Raises:
        ValueError: the first checkpoint cannot be written, or the history is one of another scene.
    """
    pipeline, config = trainer.pipeline, trainer.config
    pipeline.datamanager.train_dataparser_outputs.save_dataparser_transform(
        trainer.base_dir / "dataparser_transforms.json"
    )
    pipeline.eval()
    cameras = pipeline.datamanager.cameras("train")

    def save() -> Path:
        trainer.step += 1
        trainer.save_checkpoint(trainer.step)
        return trainer.checkpoint_dir

    trainer.step = 0
    session = LiveSession(pipeline.model, cameras, trainer.history(), trainer.base_dir, save, trainer.train_lock)
    # From now on history.json and this checkpoint can bring everything back, whatever ends the program.
    session.save()
    session.warm_up()
    viewer = trainer.viewer_state
    assert isinstance(viewer, Viewer), "setup() refuses a live session without viewer"
    trainer._init_viewer_state()
    shown = LiveViewer(viewer, pipeline.model, cameras)
    LivePanel(
        session,
        shown,
        action,
        prompt=config.pipeline.model.prompt or "",
        segmenter=config.segmenter,
    )
    CONSOLE.print(
        f"\n[bold]Ready:[/bold] open {address(viewer)} in a browser. Ctrl-C saves and ends.\n", soft_wrap=True
    )
    with _ended_by_signals(session):
        session.run(idle=writer.write_out_storage)
    path = session.save()
    CONSOLE.print(
        f"Saved: {path}\nGo on later:  ns-train {config.method_name} --live True --load-dir {quote(str(path))} ...",
        soft_wrap=True,
    )
    shown.close()
    trainer.shutdown()


def address(viewer: Viewer) -> str:
    """Where a browser on this machine finds the viewer."""
    server = viewer.viser_server
    host = server.get_host()
    return f"http://{'localhost' if host == '0.0.0.0' else host}:{server.get_port()}"


@contextmanager
def _ended_by_signals(session: LiveSession) -> Iterator[None]:
    """The first Ctrl-C (or kill) ends the session at its next step, the second one at once."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, _: object) -> None:
        CONSOLE.print("Ending after this step; once more ends at once.")
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

"""ft2s rounds: the rounds of a fasttext2style-ip2p run, looked at, resumed, set back, packed and exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from fasttext2style.commands.shared import RunPath
from fasttext2style.terminal.console import say
from fasttext2style.trust.text import one_line

if TYPE_CHECKING:
    from fasttext2style.rounds.folder import Round

RoundNumber = Annotated[int, tyro.conf.Positional, tyro.conf.arg(metavar="ROUND")]


@dataclass
class List:
    """List the complete rounds of a run."""

    path: RunPath
    """Folder of a run of fasttext2style-ip2p."""

    def run(self) -> None:
        rounds = _rounds(self.path)
        last = rounds[-1].manifest
        say(f'"{one_line(last.get("instruction", ""))}", {one_line(last.get("mode", "no round yet"))}')
        say("round  views  inside dB  outside dB  Gaussians  seconds  written")
        for entry in rounds[1:]:
            entry.check_complete()
            say(_line(entry))
        page = rounds[0].folder.parent / "index.html"
        if page.is_file():
            say(f"Side by side: {page}")


@dataclass
class Show:
    """Show all that is known of a round: instruction, settings, seeds, editor, versions, times, metrics."""

    path: RunPath
    """Folder of a run."""
    number: RoundNumber
    """Number of the round, as `ft2s rounds list` shows it."""

    def run(self) -> None:
        import json

        say(json.dumps(_round(self.path, self.number).manifest, indent=2, ensure_ascii=False), wrap=False)


@dataclass
class Resume:
    """Go on with a run, from its last complete round to the planned number of rounds."""

    path: RunPath
    """Folder of a run; it may have been killed at any moment, or moved."""
    rounds: int | None = None
    """How many rounds there shall be in all, if other than planned."""
    refine: int = 0
    """Instead of further rounds, train the last one for so many steps more on its edited views."""
    workers: str | None = None
    """Who edits the pictures, if others than before: 1, 8 or ray://HEAD:10001, as ns-train's --workers."""
    trust: bool = False
    """Import the code that the run's settings name (an editor, encoder or loss as module:attribute), and let it be seen
    by others if they say so, though you did not write the run on this machine."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.rounds import resume_run
        from fasttext2style.plugin.runs.trust import by_whom

        with by_whom(self.path, self.trust):
            resume_run(self.path, self.rounds, self.refine, self.workers)


@dataclass
class Reset:
    """Set a run back to the end of a round; later rounds are moved aside, not deleted."""

    path: RunPath
    """Folder of a run; it gets a new checkpoint."""
    to: int
    """Number of the round; 0 is the scene before any edit."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.rounds import reset_run

        reset_run(self.path, self.to)


@dataclass
class Backup:
    """Pack a run into one .tar, from which it can be resumed anywhere: tar -xf FILE."""

    path: RunPath
    """Folder of a run."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The .tar to write."""

    def run(self) -> None:
        from fasttext2style.history.steps import named_folder
        from fasttext2style.rounds.backup import pack

        if self.output.suffix != ".tar":
            raise ValueError(f"A backup is written as .tar, got --output {self.output}")
        _rounds(self.path)
        size = pack(named_folder(self.path), self.output)
        say(f"{self.output}: {size / 2**20:,.0f} MiB")


@dataclass
class Export:
    """Write the scene at the end of a round as a .ply."""

    path: RunPath
    """Folder of a run."""
    number: RoundNumber
    """Number of the round; 0 is the scene before any edit."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The .ply to write."""

    def run(self) -> None:
        rounds = _rounds(self.path)
        from fasttext2style.rounds.gaussian_subject import scene_of_round
        from fasttext2style.scene.files.atomic import check_place
        from fasttext2style.scene.files.ply import write_ply

        if self.output.suffix != ".ply":
            raise ValueError(f"A round is written as .ply, got --output {self.output}")
        output = check_place(self.output)
        scene, _ = scene_of_round(rounds, self.number)
        write_ply(output, scene)
        say(f"{output}: {len(scene):,} Gaussians")


@dataclass
class Rounds:
    """The rounds of a run of fasttext2style-ip2p or fasttext2style-nerf: list and show them, resume, reset, back up,
    export."""

    action: (
        Annotated[List, tyro.conf.subcommand("list", prefix_name=False)]
        | Annotated[Show, tyro.conf.subcommand("show", prefix_name=False)]
        | Annotated[Resume, tyro.conf.subcommand("resume", prefix_name=False)]
        | Annotated[Reset, tyro.conf.subcommand("reset", prefix_name=False)]
        | Annotated[Backup, tyro.conf.subcommand("backup", prefix_name=False)]
        | Annotated[Export, tyro.conf.subcommand("export", prefix_name=False)]
    )

    def run(self) -> None:
        self.action.run()


def _rounds(path: Path) -> list[Round]:
    from fasttext2style.history.steps import named_folder
    from fasttext2style.rounds.folder import RoundsFolder

    folder = named_folder(path) / "rounds"
    rounds = RoundsFolder(folder).rounds()
    if not rounds:
        raise ValueError(
            f"There are no rounds in {folder}; expected the folder of a run of fasttext2style-ip2p or "
            "fasttext2style-nerf."
        )
    return rounds


def _round(path: Path, number: int) -> Round:
    rounds = _rounds(path)
    if not 0 <= number < len(rounds):
        raise ValueError(f"There is no complete round {number}; there are 0 to {len(rounds) - 1}.")
    return rounds[number]


def _line(entry: Round) -> str:
    manifest = entry.manifest
    metrics = list(manifest["metrics"].values())[-1]
    gaussians = f"{metrics['gaussians']:,d}" if "gaussians" in metrics else "-"
    outside = f"{metrics['outside']['psnr']:.1f}" if "psnr" in metrics["outside"] else "-"
    return (
        f"{entry.number:5d}  {len(manifest['round_views']):5d}  {metrics['inside']['psnr']:9.2f}  {outside:>10}  "
        f"{gaussians:>9}  {manifest['seconds']['all']:7.1f}  {one_line(manifest['written'])}"
    )

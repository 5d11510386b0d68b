"""The questions of `ft2s new`, one after the other, and the recipe that comes of the answers.

Heavy imports (nerfstudio: ten seconds) happen where an answer needs them, so that the first question is there at once.
"""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fasttext2style.captures.checks import CaptureLook
from fasttext2style.commands.guide import machine, reading
from fasttext2style.commands.guide.asking import Asker, Question
from fasttext2style.commands.guide.estimates import Estimate, estimate
from fasttext2style.commands.guide.options import Answers
from fasttext2style.recipes.methods import default_config
from fasttext2style.recipes.plain_yaml import write_yaml
from fasttext2style.recipes.recipe import Recipe, parse_recipe
from fasttext2style.trust.typed import expanded

METHODS = {"sentence": "fasttext2style", "instruction": "fasttext2style-ip2p"}
_STYLING = "max_num_iterations"
_STEPS = "pipeline.rounds.schedule.steps"
_ROUNDS = "pipeline.rounds.schedule.rounds"
_VIEWS = "pipeline.rounds.schedule.views"
_STYLE_EFFORTS = {"quick": {_STYLING: 100}, "usual": {}, "thorough": {_STYLING: 500}}
"""Effort -> settings in which it differs from the method's defaults."""
_ROUNDS_EFFORTS = {
    False: {
        "quick": {_ROUNDS: 2, _VIEWS: 8, _STEPS: 50},
        "usual": {_VIEWS: 12},  # the recipe ip2p_laptop
        "thorough": {_ROUNDS: 5, _VIEWS: 24, _STEPS: 200},
    },
    True: {
        "quick": {_ROUNDS: 2, _VIEWS: 30, _STEPS: 1000},
        "usual": {},
        "thorough": {_ROUNDS: 10, _VIEWS: 30, _STEPS: 2500},  # instruct-gs
    },
}
"""The same without CUDA and with it."""
_WITHOUT_A_GPU = "Without a GPU the embedded one takes minutes; how long others take is not measured."
_QUICK_RECONSTRUCTION = {False: 1000, True: 7000}
"""Steps, a third and a quarter of the default."""


@dataclass
class Draft:
    """A recipe as far as the answers go."""

    method: str = METHODS["sentence"]
    data: Path = Path()
    prompt: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    """Path of a field -> value."""

    def document(self, about: str, time: str) -> dict[str, Any]:
        """As a recipe's YAML holds it."""
        nested: dict[str, Any] = {}
        for path, value in self.settings.items():
            *groups, name = path.split(".")
            group = nested
            for part in groups:
                group = group.setdefault(part, {})
            group[name] = value
        head = {"about": about, "time": time, "memory": "not measured", "method": self.method, "data": str(self.data)}
        prompt = {} if self.prompt is None else {"prompt": self.prompt}
        return {**head, **prompt, **({"settings": nested} if nested else {})}


@dataclass(frozen=True)
class Composed:
    """What `ft2s new` has come to."""

    text: str
    recipe: Recipe
    path: Path
    runs: bool


class Guide:
    """Asks what was not given as an option."""

    def __init__(self, answers: Answers, asker: Asker) -> None:
        self.answers, self.asker = answers, asker
        self.draft = Draft()

    @functools.cached_property
    def on_cuda(self) -> bool:
        import torch

        return torch.cuda.is_available()

    def compose(self) -> Composed:
        """Ask all there is to ask.

        Raises:
            ValueError: an answer that was given as an option cannot be used, or one is missing and nothing is asked.
            EOFError, KeyboardInterrupt: nobody answers any more.
        """
        look = self.capture()
        self.start()
        live = self.object(look)
        wish = self.wish()
        self.encoder() if wish == "sentence" else self.editor()
        if not live:
            self.prompt(wish)
        taken = self.effort(wish, look, live)
        what = f'"{self.draft.prompt}"' if self.draft.prompt else "a live session"
        document = self.draft.document(f"{what} on {self.name}, as answered to ft2s new", taken.time)
        text = write_yaml(document)
        recipe = parse_recipe(text)
        return Composed(text, recipe, self.output(), self.runs(taken))

    @property
    def name(self) -> str:
        """Of the capture."""
        data = self.draft.data
        return (data.parent if data.is_file() else data).resolve().stem or "capture"

    def capture(self) -> CaptureLook:
        near = machine.nearby_capture()
        question = Question(
            "--data",
            "Where is the capture?",
            "A folder in nerfstudio's format, with a transforms.json; ns-process-data makes one of photographs.",
            default=None if near is None else str(near),
            read=reading.capture,
        )
        self.draft.data, look = self.asker.ask(question, self.answers.data)
        size = f" of {look.width} x {look.height} pixels" if look.width else ""
        self.asker.say(f"{len(look.photographs)} photographs{size}, {look.bytes / 1e6:.1f} MB.")
        return look

    def start(self) -> None:
        newest = machine.newest_run(self.draft.data)
        question = Question(
            "--load-dir",
            "Is there a finished run of it to start from?",
            "A run of splatfacto or one of ours, by its folder. Without one the scene is reconstructed first.",
            choices={"none": "reconstruct the scene first"} | ({str(newest): "the newest one here"} if newest else {}),
            others="the folder of a run",
            default=str(newest or "none"),
            read=self._run,
        )
        run = self.asker.ask(question, self.answers.load_dir)
        if run is not None:
            self.draft.settings["load_dir"] = str(run)

    def _run(self, answer: str) -> Path | None:
        if answer == "none":
            return None
        from fasttext2style.plugin.host.checkpoints import checkpoint_path

        config = deepcopy(default_config(self.draft.method))
        config.load_dir = expanded(answer)
        if not config.load_dir.is_dir():
            raise ValueError(f"there is no folder {config.load_dir}.")
        checkpoint_path(config)
        return config.load_dir.absolute()

    def object(self, look: CaptureLook) -> bool:
        """Whether the object is chosen later, in a live session."""
        question = Question(
            "--object",
            "What is to change?",
            "Nothing else will, not by one bit.",
            choices={
                "auto": "what the cameras look at, found automatically; or the object of the run it starts from",
                "masks": "you have masks of it, one per photograph",
                "box": "what is inside a box",
                "sphere": "what is inside a sphere",
                "clicks": "you click on it later, in the viewer, and type there: a live session",
                "everything": "the whole scene",
            },
            default="auto",
        )
        kind = self.asker.ask(question, self.answers.object)
        settings = self.draft.settings
        if kind == "clicks":
            settings["live"] = True
        elif kind != "auto":
            settings["pipeline.object.by"] = kind
        if kind == "masks":
            why = "White is the object; each mask is named like its photograph."
            question = Question("--object-masks", "In which folder are the masks?", why, read=reading.masks_for(look))
            settings["pipeline.datamanager.object_masks"] = self.asker.ask(question, self.answers.object_masks)
        if kind in ("box", "sphere"):
            why = "X Y Z in scene coordinates, as ns-viewer shows them for a run of this capture."
            question = Question(
                "--center", f"Where is the center of the {kind}?", why, default="0 0 0", read=reading.triple
            )
            settings["pipeline.object.center"] = self.asker.ask(question, self.answers.center)
        if kind == "box":
            question = Question(
                "--size", "How large is the box?", "Edge lengths X Y Z.", default="1 1 1", read=reading.sizes
            )
            settings["pipeline.object.size"] = self.asker.ask(question, self.answers.size)
        if kind == "sphere":
            question = Question("--radius", "What is the radius of the sphere?", default="0.5", read=reading.positive)
            settings["pipeline.object.radius"] = self.asker.ask(question, self.answers.radius)
        return kind == "clicks"

    def wish(self) -> str:
        question = Question(
            "--wish",
            "A sentence or an instruction?",
            choices={
                "sentence": 'what it should look like, "a bear made of gold": CLIP pulls the colours there',
                "instruction": 'what to do with it, "turn the bear into a panda": an editor repaints pictures',
            },
            default="sentence",
        )
        wish = self.asker.ask(question, self.answers.wish)
        self.draft.method = METHODS[wish]
        if wish == "instruction":
            question = Question(
                "--mode",
                "What may the instruction do?",
                choices={
                    "restyle": "other colours and materials on the same form",
                    "replace": "a new form grows in its place",
                    "remove": "it goes, and what is behind it is filled; this wants an editor that inpaints",
                },
                default="restyle",
            )
            mode = self.asker.ask(question, self.answers.mode)
            if mode != "restyle":
                self.draft.settings["pipeline.mode"] = mode
        return wish

    def encoder(self) -> None:
        given = self.answers.encoder
        choices, can_be_had = ({}, False) if given else self._looking(machine.encoders)
        question = Question(
            "--encoder",
            "Which encoder compares pictures with the sentence?",
            "" if self.on_cuda else _WITHOUT_A_GPU,
            choices=choices,
            others="another model of open_clip, or module:attribute",
            default=machine.ENCODER if self.on_cuda and can_be_had else "tiny",
            read=reading.encoder,
        )
        self.draft.settings["pipeline.encoder"] = self.asker.ask(question, given)

    def editor(self) -> None:
        given = self.answers.editor
        choices, can_be_had = ({}, False) if given else self._looking(machine.editors)
        question = Question(
            "--editor",
            "Which editor repaints the pictures?",
            "" if self.on_cuda else _WITHOUT_A_GPU,
            choices=choices,
            others="a folder in diffusers' format, a hub id, module:attribute",
            default=machine.EDITOR if self.on_cuda and can_be_had else "tiny",
            read=reading.editor,
        )
        self.draft.settings["pipeline.editor"] = self.asker.ask(question, given)

    def _looking(self, look: Callable[[], tuple[dict[str, str], bool]]) -> tuple[dict[str, str], bool]:
        self.asker.say("\nLooking at what is on this machine ...")
        return look()

    def prompt(self, wish: str) -> None:
        sentence = wish == "sentence"
        question = Question(
            "--prompt",
            "What should it look like?" if sentence else "What should be done with it?",
            'Such as "a bear made of gold".' if sentence else 'Such as "turn the bear into gold".',
            read=self._sentence if sentence else reading.text,
        )
        self.draft.prompt = self.asker.ask(question, self.answers.prompt)

    def _sentence(self, answer: str) -> str:
        answer = reading.text(answer)
        if self.draft.settings["pipeline.encoder"] != "tiny":
            return answer
        from fasttext2style.guidance.load import load_encoder

        words = load_encoder("tiny").coverage(answer)
        if not words.known:
            raise ValueError(
                f"the embedded encoder knows no word of {answer!r} that says what something looks like; "
                "`ft2s words` lists those it knows, such as gold, ice, wood, red."
            )
        if words.unknown:
            self.asker.say(f"  (The embedded encoder does not know {', '.join(words.unknown)}; the rest counts.)")
        return answer

    def effort(self, wish: str, look: CaptureLook, live: bool) -> Estimate:
        efforts = deepcopy(_STYLE_EFFORTS if wish == "sentence" else _ROUNDS_EFFORTS[self.on_cuda])
        if live:
            efforts = {"quick": {}, "usual": {}}
        if "load_dir" not in self.draft.settings:
            efforts["quick"]["reconstruction_steps"] = _QUICK_RECONSTRUCTION[self.on_cuda]
        elif live:
            efforts.pop("quick")
        taken = self._estimates(efforts, look)
        where = "one NVIDIA H200; other GPUs differ" if self.on_cuda else "two CPU cores at 2.7 GHz"
        is_measured = any(entry.seconds is not None for entry in taken.values())
        question = Question(
            "--effort",
            "How long may it take until the viewer opens?" if live else "How long may it take?",
            f"As measured on {where} (docs/measurements.md)." if is_measured else "Nobody has measured this yet.",
            choices={name: f"{entry.time}, {entry.disk} on the disk" for name, entry in taken.items()},
            default="usual",
        )
        effort = self.asker.ask(question, self.answers.effort) if len(taken) > 1 else "usual"
        self.draft.settings |= efforts[effort]
        return taken[effort]

    def _estimates(self, efforts: dict[str, dict[str, int]], look: CaptureLook) -> dict[str, Estimate]:
        from fasttext2style.plugin.runs.recipe import parse_line

        config = parse_line(parse_recipe(write_yaml(self.draft.document("", ""))).words())
        taken = {}
        for name, settings in efforts.items():
            set_to = deepcopy(config)
            for path, value in settings.items():
                *groups, field_name = path.split(".")
                setattr(functools.reduce(getattr, groups, set_to), field_name, value)
            taken[name] = estimate(set_to, len(look.photographs), look.width, look.height, self.on_cuda)
        return taken

    def output(self) -> Path:
        slug = "-".join(re.findall(r"[a-z0-9]+", (self.draft.prompt or "live").lower())[:6])
        proposed = Path(f"{self.name}-{slug or 'recipe'}.yaml")
        number = 2
        while proposed.exists():
            proposed, number = Path(f"{self.name}-{slug or 'recipe'}-{number}.yaml"), number + 1
        question = Question(
            "--output", "Under which name shall the recipe be kept?", default=str(proposed), read=reading.new_file
        )
        return self.asker.ask(question, self.answers.output)

    def runs(self, taken: Estimate) -> bool:
        if not self.answers.start:
            return False
        free = shutil.disk_usage(".").free
        self.asker.say(
            f"\n{taken.time[0].upper()}{taken.time[1:]}; {taken.disk} on the disk, where {free / 1e9:,.1f} GB are free."
        )
        enough = free > taken.bytes
        question = Question(
            "--no-run",
            "Run it now?" if enough else "That may not fit on the disk. Run it all the same?",
            choices={"yes": "", "no": "ft2s run takes the recipe at any time"},
            default="yes" if enough else "no",
        )
        return self.asker.ask(question) == "yes"

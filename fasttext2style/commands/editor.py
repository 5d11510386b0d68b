"""ft2s editor: the 2D editor is tuned to hit the object, and measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from fasttext2style.editor_training.settings import SamplingConfig, ToyConfig, TrainingConfig
from fasttext2style.trust.typed import expanded

if TYPE_CHECKING:
    from fasttext2style.editor_training.cases import EditCases
    from fasttext2style.guidance.encoder import TextImageEncoder

USUAL_CASES = 24
"""That are measured, where nobody says how many."""
DataPath = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]


@dataclass
class OnData:
    """What both commands ask."""

    data: DataPath
    """Folder of a run, whose views and object are taken; a folder in MagicBrush's format (edit_turns.json,
    or Hugging Face's Parquet files, with fasttext2style[parquet]); or the word toy."""
    prompt: tuple[str, ...] = ()
    """Instructions, of a run only; by default the run's own."""
    caption: tuple[str, ...] = ()
    """What the outcome of each instruction shows, for the encoder; by default the instructions themselves."""
    editor: str = "timbrooks/instruct-pix2pix"
    """An InstructPix2Pix: a hub id, a folder in diffusers' format, or "tiny" (embedded)."""
    editor_settings: dict[str, str] = field(default_factory=dict)
    """Further settings of the editor, as names and values: dtype bf16."""
    encoder: str = "tiny"
    """NAME or NAME:WEIGHTS of the text-image encoder that grades; "" for none."""
    toy: ToyConfig = field(default_factory=ToyConfig)
    """Of the data set toy."""

    def cases(self, side: int, at_most: int = 0) -> EditCases:
        """Pictures, masks and instructions."""
        from fasttext2style.editor_training.cases import cases_of_views
        from fasttext2style.editor_training.tuning import cases_of_data

        if at_most < 0:
            raise ValueError(f"--at-most is 1 or more, or 0 for the usual number; got {at_most}.")
        if not (expanded(self.data) / "config.yml").is_file():
            if self.prompt or self.caption:
                raise ValueError(
                    f"{self.data} is no run and has instructions of its own; leave --prompt and --caption out"
                )
            return cases_of_data(self.data, self.toy, side, at_most)
        from fasttext2style.plugin.runs.editor_views import object_views

        views = object_views(Path(self.data), at_most)
        prompts = self.prompt or ((views.prompt,) if views.prompt else ())
        if not prompts:
            raise ValueError('This run has no sentence of its own: add --prompt "turn the bear into gold".')
        if self.caption and len(self.caption) != len(prompts):
            raise ValueError(f"{len(prompts)} instructions need as many captions, got {len(self.caption)}")
        return cases_of_views(views.images, views.masks, prompts, side, self.caption, views.names)

    def loaded_encoder(self) -> TextImageEncoder | None:
        import torch

        from fasttext2style.guidance.load import load_encoder, name_and_weights

        device = "cuda" if torch.cuda.is_available() else "cpu"
        return load_encoder(*name_and_weights(self.encoder), device) if self.encoder else None

    def default_output(self, name: str) -> Path:
        """Beside the data."""
        return Path("outputs") / name if self.data == "toy" else expanded(self.data) / name


@dataclass
class Train(OnData):
    """Tune a 2D editor by reinforcement so that it changes the object and nothing else; writes a LoRA that edit rounds
    take: ns-train fasttext2style-ip2p ... --editor-lora FILE."""

    output: Path | None = None
    """Folder of the LoRA, curves and samples; by default editor_training in the data's folder (of toy: in outputs)."""
    resume: bool = False
    """Go on with the training in that folder."""
    at_most: int = 0
    """Views of the run, or cases of the data set, that are used; 0 takes 32 views, or all cases."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How."""

    def run(self) -> None:
        from fasttext2style.editor_training.rewards import Reward
        from fasttext2style.editor_training.tuning import policy_of, tune
        from fasttext2style.editors.settings import values_of

        self.training.check()
        Reward(self.training.reward)
        training = self.training
        policy = policy_of(
            self.editor,
            values_of(self.editor_settings),
            training.sampling,
            training.rank,
            training.seed,
            training.lora_on,
        )
        cases = self.cases(policy.native_size, self.at_most)
        output = self.output or self.default_output("editor_training")
        tune(policy, cases, training, output, self.loaded_encoder(), self.resume)


@dataclass
class Evaluate(OnData):
    """Measure a 2D editor with and without LoRAs, beside one that returns its input: a table, a JSON, pictures."""

    lora: tuple[Path, ...] = ()
    """LoRA files; each gets a row."""
    output: Path | None = None
    """Folder of the comparison; by default editor_evaluation in the data's folder (of toy: in outputs)."""
    at_most: int = 0
    """Views of the run, or cases of the data set; 0 takes 24, and all of toy. Measured are those of them that no LoRA
    was trained on, as far as its training.json says; where there are none, all."""
    seed: int = 0
    """Of the noise that edits start from."""
    batch: int = 8
    """Pictures edited at once."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How edits are made; no noise is drawn on the way."""

    def run(self) -> None:
        from fasttext2style.editor_training.tuning import TOY, compare, compared_editors
        from fasttext2style.editors.settings import values_of

        self.sampling.check()
        editors, trainings, side = compared_editors(
            self.editor, values_of(self.editor_settings), self.lora, self.sampling, self.seed, self.batch
        )
        cases = self.cases(side, self.at_most or (0 if self.data == TOY else USUAL_CASES))
        output = self.output or self.default_output("editor_evaluation")
        compare(editors, trainings, cases, self.loaded_encoder(), output)


@dataclass
class Editor:
    """The 2D editor of pictures: tuned on the scene's own views, and measured."""

    action: (
        Annotated[Train, tyro.conf.subcommand("train", prefix_name=False)]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate", prefix_name=False)]
    )

    def run(self) -> None:
        self.action.run()

"""ft2s envmap train-vae, finetune, evaluate: what panoramas look like, what is said of them, and how edits compare."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from fasttext2style.envmaps.evaluation_settings import EvaluationSettings
from fasttext2style.envmaps.tuning_settings import TuneSettings
from fasttext2style.envmaps.vae_settings import TrainVAE
from fasttext2style.scene.files.atomic import check_folder
from fasttext2style.terminal.console import say

FolderPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]


@dataclass
class TrainVae:
    """Train a VAE on a folder of panoramas; `ft2s envmap edit --variables fc|mulogvar|spatial --vae FILE` then moves
    its codes. Two trained ones are packaged."""

    folder: FolderPath
    """Panoramas (.hdr, .exr, .png, .jpg), in it and below; a tenth of the places is for validation, a tenth for the
    numbers at the end."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("outputs/vae")
    """Folder of checkpoint, weights, TensorBoard and a picture of reconstructions."""
    resume: bool = False
    """Go on with the training in that folder."""
    settings: TrainVAE = field(default_factory=TrainVAE)

    def run(self) -> None:
        self.settings.check()
        self.output = check_folder(self.output)
        from fasttext2style.envmaps.folder import open_folder, split
        from fasttext2style.envmaps.vae_training import train_vae

        train_vae(split(open_folder(self.folder), self.settings.seed), self.settings, self.output, self.resume)


@dataclass
class Finetune:
    """Tune an encoder on panoramas and what is said of them, and measure it on others before and after."""

    folder: FolderPath
    """Panoramas, and a .json with captions: Poly Haven's own answers, or a list of file, categories and tags."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("outputs/tuned_encoder")
    """Folder of tuning.json and of the weights: for --encoder panorama --encoder-weights FILE, or CLIP's own name."""
    encoder: str = "offline"
    """"offline", which gets an adapter of some megabytes, or a model of open_clip, whose last blocks learn."""
    encoder_weights: str = ""
    """open_clip tag or local file of the weights to begin with; empty takes the model's default ones."""
    settings: TuneSettings = field(default_factory=TuneSettings)

    def run(self) -> None:
        self.settings.check()
        self.output = check_folder(self.output)
        from fasttext2style.envmaps.folder import open_folder, split
        from fasttext2style.envmaps.tuned_encoders import tune_encoder
        from fasttext2style.guidance.load import load_encoder

        parts = split(open_folder(self.folder), self.settings.seed)
        try:
            tune_encoder(load_encoder(self.encoder, self.encoder_weights or None), parts, self.settings, self.output)
        except KeyboardInterrupt:
            say("\nStopped: nothing was written.")
            raise SystemExit(130) from None


@dataclass
class Evaluate:
    """The paper's table: encoders, what is moved and how it is held, three sentences, on panoramas that nothing was
    trained on; with what encoders say that were not optimised."""

    folder: FolderPath
    """Panoramas, split as in training: those for testing are edited."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("outputs/envmap_evaluation")
    """Folder of evaluation.json, evaluation.md and a sheet for each sentence."""
    settings: EvaluationSettings = field(default_factory=EvaluationSettings)

    def run(self) -> None:
        self.settings.check()
        self.output = check_folder(self.output)
        from fasttext2style.envmaps.evaluating import evaluate
        from fasttext2style.envmaps.folder import open_folder, split
        from fasttext2style.guidance.load import load_encoder, name_and_weights

        parts = split(open_folder(self.folder), self.settings.seed)
        encoders = {name: load_encoder(*name_and_weights(name)) for name in self.settings.encoders}
        try:
            evaluate(encoders, parts, self.settings, self.output)
        except KeyboardInterrupt:
            say(f"\nStopped; complete rows are in {self.output / 'evaluation.json'}.")
            raise SystemExit(130) from None

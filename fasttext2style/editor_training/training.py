"""The loop around epochs: measured on held-out cases, kept after each, resumed as if nothing had happened.

In the folder: lora.safetensors (after the last complete epoch; diffusers loads it), checkpoint.pt (what resuming
needs), training.json (settings, names of the pictures that were trained on, all epochs), index.html with curves,
samples/ and tensorboard/.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from fasttext2style.editor_training.batches import Batches
from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.content import content_tokens
from fasttext2style.editor_training.draft import DraftLearner
from fasttext2style.editor_training.learning import Judge, Learner, sampled_edits
from fasttext2style.editor_training.measures import measures
from fasttext2style.editor_training.policy import EditorPolicy, Rollouts, derived_seed
from fasttext2style.editor_training.reinforcement import PpoLearner
from fasttext2style.editor_training.rewards import Reward
from fasttext2style.editor_training.settings import TrainingConfig
from fasttext2style.editor_training.supervised import SupervisedLearner
from fasttext2style.editor_training.trained_on import BOOK, pictures_of
from fasttext2style.editors.diffusion.lora import load_lora_state, lora_state, save_lora
from fasttext2style.editors.diffusion.processes import Processes
from fasttext2style.evaluation.report import write_report
from fasttext2style.evaluation.timing import peak_memory_gib
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.trust.documents import is_count, is_mapping
from fasttext2style.trust.torch_files import load_torch_file

FORMAT = 1
Listener = Callable[[dict[str, Any], Rollouts | None], None]
"""Told of each epoch, with the held-out edits if it was measured."""


class _OtherSettings(ValueError):
    """A checkpoint is whole, and not of this training."""


class EditorTraining:
    """One training.

    Args:
        policy: with a LoRA.
        cases: to learn from.
        held_out: to measure on.
        config: how.
        folder: where everything is kept.
        encoder: of the reward text, and of what is measured.
        processes: that share the work, each with its own of these; the first writes the files.

    Raises:
        ValueError: settings that contradict each other or the cases.
    """

    def __init__(
        self,
        policy: EditorPolicy,
        cases: EditCases,
        held_out: EditCases,
        config: TrainingConfig,
        folder: Path,
        encoder: TextImageEncoder | None = None,
        processes: Processes | None = None,
    ) -> None:
        config.check()
        reward = Reward(config.reward)
        if "text" in reward.weights and encoder is None:
            raise ValueError("The reward text needs an encoder, and none is loaded.")
        self.policy, self.cases, self.held_out, self.config, self.folder = policy, cases, held_out, config, folder
        self.judge, self.encoder = Judge(reward, encoder, config.tau), encoder
        self.writes, self.batches = processes is None or processes.is_first, Batches(config.batch, processes)
        if config.checkpointing:
            policy.unet.enable_gradient_checkpointing()
        rate = config.learning.learning_rate or (1e-3 if policy.name == "tiny" else 2e-4)
        self.optimizer = torch.optim.AdamW(policy.parameters, lr=rate, weight_decay=1e-4)
        self.learner = self._new_learner()
        self.history: list[dict[str, Any]] = []
        # What cannot be conditioned on is said now, not after the first epoch.
        for lot in (cases, held_out):
            content_tokens(policy.editor.pipeline.tokenizer, list(dict.fromkeys(lot.instructions)))

    @property
    def lora(self) -> Path:
        return self.folder / "lora.safetensors"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def run(self, on_epoch: Listener | None = None) -> list[dict[str, Any]]:
        """All epochs that are left; returns all that there were.

        Raises:
            ValueError: a reward or a gradient that is no number; the files are those of the last good epoch.
            KeyboardInterrupt: likewise.
        """
        if not self.history:
            self._finish({"epoch": 0, "seconds": 0.0}, on_epoch)
        for number in range(self.history[-1]["epoch"] + 1, self.config.epochs + 1):
            started = time.perf_counter()
            record = {"epoch": number, **self.learner.epoch(number)}
            record["seconds"] = round(time.perf_counter() - started, 2)
            self._finish(record, on_epoch)
        return self.history

    def resume(self) -> None:
        """Go on after the last complete epoch in the folder.

        Raises:
            ValueError: there is none, it is damaged, or of other settings or cases.
        """
        if not self.checkpoint.exists():
            raise ValueError(f"There is no training to resume in {self.folder}: {self.checkpoint.name} is missing.")
        try:
            kept = load_torch_file(self.checkpoint)
        except ValueError as error:
            raise ValueError(f"{self.checkpoint} is damaged ({error}); start anew without --resume.") from error
        if not isinstance(kept, dict) or kept.get("format") != FORMAT:
            raise ValueError(
                f"{self.checkpoint} is no checkpoint of an editor's training; start anew without --resume."
            )
        try:
            self._take_up(kept)
        except _OtherSettings:
            raise
        except Exception as error:  # a damaged file fails in as many ways as there are damages
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            raise ValueError(f"{self.checkpoint} is damaged ({reason}); start anew without --resume.") from error

    def _take_up(self, kept: dict[str, Any]) -> None:
        """What a checkpoint says.

        Raises:
            ValueError: of other settings or cases; and whatever comes of a file that somebody else wrote.
        """
        before, now = json.loads(kept["settings"]), json.loads(self._settings())
        changed = sorted(name for name in now if before.get(name) != now[name])
        if changed:
            raise _OtherSettings(
                f"This training was begun with other settings ({', '.join(changed)}). Resume it with the same, or "
                "start anew with another --output."
            )
        history = json.loads(kept["history"])
        if not history or not all(is_mapping(record) and is_count(record.get("epoch")) for record in history):
            raise ValueError("its epochs are no list of what each came to")
        load_lora_state(self.policy.unet, kept["lora"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.learner.load_state(kept["learner"])
        self.history = history

    def measure(self) -> tuple[dict[str, Any], Rollouts]:
        """The held-out cases edited as rounds do, without noise on the way and from the same noise every time."""
        seeds = [derived_seed(self.config.seed, number, 7) for number in range(len(self.held_out))]
        judge = self.judge
        rollouts, parts = sampled_edits(
            self.policy, self.held_out, judge, seeds, None, self.batches, eta=0.0, reads_attention=True
        )
        found = measures(self.held_out, rollouts.edited, self.encoder, rollouts.attention)
        return {
            "reward": float(judge.reward.total(parts).mean()),
            "parts": {name: float(values.mean()) for name, values in parts.items()},
            "measures": found,
        }, rollouts

    def _finish(self, record: dict[str, Any], on_epoch: Listener | None) -> None:
        """Measure if it is time, and write the epoch down: the LoRA, and last the checkpoint."""
        number, rollouts = record["epoch"], None
        if number % self.config.measure_every == 0 or number == self.config.epochs:
            record["held_out"], rollouts = self.measure()
        record["peak_memory_gib"] = peak_memory_gib()
        history = [*self.history, record]
        if self.writes:
            save_lora(self.lora, self.policy.editor.pipeline)
            self._write_checkpoint(history)
        self.history = history
        if self.writes:
            write_report(
                self.folder / BOOK,
                {
                    "editor": self.policy.name,
                    "settings": json.loads(self._settings()),
                    "trained_on": pictures_of(self.cases),
                    "epochs": self.history,
                },
            )
        if on_epoch is not None:
            on_epoch(record, rollouts)

    def _write_checkpoint(self, history: list[dict[str, Any]]) -> None:
        content = io.BytesIO()  # of a full disk torch says less than the system
        torch.save(
            {
                "format": FORMAT,
                "settings": self._settings(),
                "lora": lora_state(self.policy.unet),
                "optimizer": self.optimizer.state_dict(),
                "learner": self.learner.state(),
                "history": json.dumps(history),
            },
            content,
        )
        with atomic_write(self.checkpoint) as stream:
            stream.write(content.getbuffer())

    def _settings(self) -> str:
        """All that decides what an epoch comes to; how many there are, and how many samples fit at once, do not."""
        settings = asdict(self.config)
        for name in ("epochs", "batch", "checkpointing", "measure_every"):
            settings.pop(name)
        digest = hashlib.sha256()
        for lot in (self.cases, self.held_out):
            for pictures in (lot.images, lot.masks, *(() if lot.targets is None else (lot.targets,))):
                digest.update(pictures.detach().cpu().contiguous().numpy().tobytes())
            digest.update(json.dumps([lot.instructions, lot.captions]).encode())
        encoder = None if self.encoder is None else self.encoder.name
        editor = f"{self.policy.name} {self.policy.editor.revision}"
        return json.dumps(settings | {"cases": digest.hexdigest(), "editor": editor, "encoder": encoder})

    def _new_learner(self) -> Learner:
        config, rest = self.config, (self.config.learning, self.optimizer, self.batches, self.config.seed)
        if config.method == "supervised":
            return SupervisedLearner(self.policy, self.cases, *rest)
        kind = PpoLearner if config.method == "ppo" else DraftLearner
        return kind(self.policy, self.cases, self.judge, *rest)

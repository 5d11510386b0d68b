"""How an editor is tuned; light enough for a command line's help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

AttentionSource = Literal["reference", "policy"]
Method = Literal["ppo", "draft", "supervised"]


@dataclass
class SamplingConfig:
    """How edits are sampled while an editor is tuned and measured."""

    scheduler: str = "DDIMScheduler"
    """One whose steps have a density: DDIMScheduler, DDPMScheduler, EulerAncestralDiscreteScheduler."""
    steps: int = 8
    """Denoising steps. The paper does not say; DDPO takes 50."""
    strength: float = 0.98
    """Noise level at which denoising starts, as a share of the schedule."""
    eta: float = 1.0
    """How much noise DDIM draws on the way while it learns; 0 draws none and has no density. Measured is without."""
    guidance: float = 0.0
    """How strongly to follow the instruction. The paper takes 5. 0 chooses as rounds do: 3 for the embedded editor,
    7.5 for others."""
    image_guidance: float = 1.5
    """How strongly to keep to the picture; the paper names one guidance only."""
    attention_from: AttentionSource = "reference"
    """Which network the attention map is of. "reference": the network as it was before, run on the path that was
    sampled; it moves only with what was edited. "policy": the one that learns, which may learn to look there and edit
    elsewhere: its reward depends on the weights directly, and PPO knows nothing of that."""
    shared_outside: bool = False
    """Samples of the same picture and instruction draw the same noise outside the mask (RC-GRPO-Editing): less variance
    where whole edits are credited, and what is edited stays nearer to its target (measured); places outside have little
    left to be told apart by (learning.credit place)."""

    def check(self) -> None:
        """Raises ValueError for settings that no density has, or no editor can follow."""
        # Imported here: settings are read by commands that load no torch.
        from fasttext2style.editor_training.transitions import check_density
        from fasttext2style.editors.editor import check_denoising

        check_density(self.scheduler)
        check_denoising((self.strength, self.strength), self.steps, self.guidance, self.image_guidance)
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta is a share of the noise of DDPM, in [0, 1], got {self.eta}")
        if self.steps < 2:
            raise ValueError("The last step draws no noise, so that at least 2 are needed, got steps 1")


@dataclass
class LearningConfig:
    """How an editor learns. Defaults are those that learnt with the embedded editor; the paper's stand beside them."""

    groups: int = 4
    """Pictures with an instruction that are sampled in an epoch."""
    samples: int = 8
    """Edits sampled of each. The paper's batch is 8 in all."""
    updates: int = 2
    """Optimizer steps of an epoch."""
    passes: int = 1
    """How often an epoch's samples are used."""
    learning_rate: float = 0.0
    """Of AdamW. 0 chooses: 1e-3 for the embedded editor, 2e-4 for others (the paper)."""
    clip: float = 1e-3
    """How far a step's probability ratio may leave 1 before its gradient stops. DDPO takes 1e-4: with it the embedded
    editor learns a third as fast."""
    gradient_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    advantages: Literal["group", "prompt"] = "group"
    """Against what a reward is good. "group": the other samples of the same picture and instruction (GRPO). "prompt":
    the last rewards of the same instruction on any picture (DDPO, and the paper): a picture that is easy is taken for a
    good edit, and three of six trainings came apart (measured)."""
    credit: Literal["sample", "place"] = "sample"
    """Who is made likelier by a reward. "sample": the whole edit (DDPO, and the paper). "place": each place of it, by
    what became of its surroundings; for the rewards outside and inside, against the group."""
    least_spread: float = 0.0
    """Groups whose rewards spread no more than this are left out."""
    kl_weight: float = 0.0
    """Leash to the editor as it was: weight of the divergence of each step from it."""
    leash: Literal["picture", "object"] = "picture"
    """Where the leash holds. "object": inside the mask alone, so that the object goes on being edited as it was, while
    the rest learns to stay."""
    draft_steps: int = 1
    """Of the method draft: through so many last steps the reward's gradient goes."""

    def check(self) -> None:
        """Raises ValueError for numbers that nothing can learn from."""
        for name in ("groups", "updates", "passes", "draft_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"learning.{name} is 1 or more, got {getattr(self, name)}")
        if self.samples < 2:
            raise ValueError(f"Samples are compared with each other: learning.samples is 2 or more, got {self.samples}")
        if self.credit == "place" and self.advantages != "group":
            raise ValueError("Places are compared within a group: with learning.credit place take advantages group.")
        for name in ("clip", "gradient_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"learning.{name} is above 0, got {getattr(self, name)}")
        for name in ("learning_rate", "least_spread", "kl_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"learning.{name} is 0 or more, got {getattr(self, name)}")


@dataclass
class TrainingConfig:
    """How an editor is tuned."""

    epochs: int = 20
    """Epoch 0 is the editor as it was. More can be added to a training that is over."""
    method: Method = "ppo"
    """ppo: reinforcement. draft: the reward's gradient, where it has one. supervised: from targets."""
    reward: tuple[str, ...] = ("outside=-2", "text=1")
    """Rewards as NAME=WEIGHT: attention, mae, outside, inside, text, or module:attribute of your own. The paper's:
    attention=1 mae=-1."""
    tau: float = 0.05
    """Of the reward mae: mean absolute error up to which it takes no notice."""
    rank: int = 8
    """Of the LoRA."""
    lora_on: Literal["attention", "all"] = "attention"
    """Layers that the LoRA changes. "attention": the paper. "all": the convolutions, too."""
    batch: int = 16
    """Samples computed at once; halved when a GPU's memory does not suffice."""
    measure_every: int = 5
    """Epochs between two looks at the held-out cases."""
    held_out: float = 0.25
    """Share of the pictures that are measured on and never trained on."""
    checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, a third slower."""
    seed: int = 0
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)

    def check(self) -> None:
        """Raises ValueError for settings out of range, or that nothing can be learned with."""
        self.sampling.check()
        self.learning.check()
        if self.sampling.eta == 0:
            raise ValueError("Without noise on the way (sampling.eta 0) steps have no density to learn from; take 1.")
        for name in ("epochs", "rank", "batch", "measure_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is 1 or more, got {getattr(self, name)}")
        if not 0 < self.held_out <= 0.5:
            raise ValueError(f"held_out is a share above 0 and at most 0.5, got {self.held_out}")
        if not self.tau >= 0:
            raise ValueError(f"tau is 0 or more, got {self.tau}")


@dataclass
class ToyConfig:
    """The generated data set, "toy": stone things in the toy scene, with exact masks and true outcomes."""

    cases: int = 24
    """Pictures with an instruction."""
    kinds: tuple[Literal["color", "material", "insertion", "removal", "replacement"], ...] = ("color", "material")
    """The embedded editor knows colours and materials only."""
    size: int = 64
    """Side in pixels."""
    data_seed: int = 1
    """Another one gives other views, things and instructions."""

    def check(self) -> None:
        """Raises ValueError for sizes of nothing."""
        if self.cases < 1 or self.size < 16:
            raise ValueError(f"A case at least, of 16 pixels or more; got cases {self.cases} of size {self.size}")

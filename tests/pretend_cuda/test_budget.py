"""What training costs on a GPU: where it waits for the device, what is copied to and from it, how much memory it takes.

A step should hand its loss to the CPU and count its tiles, and wait for nothing else that it could do without.
"""

from __future__ import annotations

import pytest
import torch

from fasttext2style.guidance.tiny_encoder import TinyEncoder
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.gaussian_subject import Capture, GaussianSubject
from fasttext2style.rounds.modes import MODES, Task
from fasttext2style.rounds.tools import Tools
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.growth import GrowthConfig, ObjectGrowth
from fasttext2style.styling.steps import ObjectSteps
from fasttext2style.styling.styler import ObjectStyler, StylerConfig
from tests.ball import BALL, ball_on_floor, capture_cameras

pytestmark = pytest.mark.gpu

WAITS = 4
"""Most times that a step may wait for the device."""
NUMBERS = 64
"""Most bytes that a step may copy to the CPU: its loss, and no picture."""


def soft_ball() -> tuple[Gaussians, Selection]:
    """A ball on a floor, on the GPU; some of the ball is only half selected, and a little of the floor."""
    scene, weights = ball_on_floor(), torch.zeros(len(ball_on_floor()))
    weights[:BALL] = 1.0
    weights[BALL - 20 : BALL + 10] = 0.5
    return scene.to("cuda"), Selection(weights, "by hand")


def optimizers_of(edit: EditableObject) -> dict[str, torch.optim.Optimizer]:
    return {name: torch.optim.Adam([value], lr=1e-3, fused=True) for name, value in edit.parameters.items()}


def styling(train: tuple, grows: bool = False, prompt: str = "red") -> tuple[ObjectStyler, ObjectSteps]:
    scene, selection = soft_ball()
    edit = EditableObject(scene, selection)
    config = StylerConfig(train=train, views_per_step=4)
    styler = ObjectStyler(edit, capture_cameras().to("cuda"), TinyEncoder(device="cuda"), prompt, config)
    optimizers = optimizers_of(edit)
    growth = ObjectGrowth(GrowthConfig(enabled=grows, every=10**6), edit, optimizers, 10**7)
    return styler, ObjectSteps(edit, optimizers, growth, styler.re_anchor)


@pytest.mark.parametrize(
    "train, prompt",
    [(("features_dc", "features_rest"), "red"), (("features_dc", "features_rest", "scales", "means"), "gold")],
)
def test_a_styling_step_waits_rarely_and_copies_no_picture(counted, train, prompt):
    styler, steps = styling(train, "means" in train, prompt)
    for step in range(3):  # ten views, four a step: every view has been seen
        steps.take(*styler.losses(), step)
    with counted() as cost:
        steps.take(*styler.losses(), 3)
    assert cost.waits.total() <= WAITS, dict(cost.waits)
    assert cost.bytes_to_cpu <= NUMBERS, cost
    assert cost.bytes_from_cpu <= 1024, cost
    assert cost.kernels["nonzero"] == 0


def rounds(tmp_path, mode: str = "restyle") -> tuple[EditRounds, ObjectSteps]:
    scene, selection = soft_ball()
    cameras = capture_cameras(64).to("cuda")
    edit = EditableObject(scene, selection)
    photographs = torch.zeros(len(cameras), 64, 64, 3, dtype=torch.uint8)
    config = RoundsConfig()
    config.schedule.steps, config.schedule.batch = 100, 4
    subject = GaussianSubject(
        edit, Capture(cameras, photographs, torch.zeros(3, device="cuda")), MODES[mode], config.losses
    )
    made = EditRounds(
        subject, subject.views(), Tools(Repainter()), Task("red", mode, 0), config, RoundsFolder(tmp_path / "rounds")
    )
    optimizers = optimizers_of(edit)
    made.start()
    made.attach(optimizers)
    return made, ObjectSteps(edit, optimizers, None, subject.re_anchor)


class Repainter:
    """An editor that turns everything upside down in brightness: quick, and never what was there before."""

    name, capabilities = "repainter", frozenset({"mask"})

    def edit(self, request, on_step=None):
        from fasttext2style.editors.editor import EditResult

        return EditResult(1 - request.images)

    def close(self) -> None:
        pass


def step_of(made: EditRounds, steps: ObjectSteps) -> None:
    made.begin_step()
    steps.take(*made.losses(), made.step)
    made.end_step()


def test_a_training_step_of_a_round_has_its_targets_where_it_trains(counted, tmp_path):
    made, steps = rounds(tmp_path)
    for _ in range(4):
        step_of(made, steps)
    with counted() as cost:
        step_of(made, steps)
    assert cost.waits.total() <= WAITS, dict(cost.waits)
    assert cost.bytes_to_cpu <= NUMBERS, cost
    assert cost.bytes_from_cpu <= 4096, cost  # numbers of views, and their boxes


@pytest.mark.parametrize("composite", [False, True], ids=["rounds", "styling before its surroundings"])
def test_what_is_outside_the_object_is_not_copied_at_a_step(tmp_path, composite):
    """Its harmonics are four fifths of a scene: 48 numbers a Gaussian, where place and form are 11, and colours 3 a
    view. In gigabytes: of 4 million Gaussians 0.9, at each step."""
    from tests.pretend_cuda import device

    scene, selection = soft_ball()
    outside = len(scene) - selection.count
    if composite:
        edit = EditableObject(scene, selection)
        config = StylerConfig(composite=True, views_per_step=2)
        styler = ObjectStyler(edit, capture_cameras().to("cuda"), TinyEncoder(device="cuda"), "red", config)
        steps = ObjectSteps(edit, optimizers_of(edit))
        step = lambda: steps.take(*styler.losses(), 0)  # noqa: E731
    else:
        made, steps = rounds(tmp_path)
        step = lambda: step_of(made, steps)  # noqa: E731
    step()
    copied: list[tuple[str, list[int]]] = []

    def look(name: str, given: dict) -> None:
        if device.base_name(name) in ("cat", "clone", "index", "index_select", "copy_"):
            tensors = given.get("tensors", [given.get("self")])
            copied.extend(
                (name, list(t.shape))
                for t in tensors
                if t.numel() >= 45 * outside and t.shape[0] in (outside, len(scene))
            )

    device.hooks.append(look)
    step()
    device.hooks.remove(look)
    assert not copied


def test_targets_of_a_new_round_replace_those_on_the_device(counted, tmp_path):
    """Kept crops are the pictures that were set last: a round that trained on old ones would end where it began."""
    made, steps = rounds(tmp_path)
    step_of(made, steps)
    views = made._batch
    before, _ = made.targets.crops(views)
    for view in views.tolist():
        old = made.targets[view]
        made.targets.set(view, type(old)(255 - old.image, old.mask), 2)
    after, _ = made.targets.crops(views)
    torch.testing.assert_close(after, 1 - before, atol=1e-6, rtol=0)
    assert after.device.type == "cuda"


def large_scene(gaussians: int, of_the_object: int) -> tuple[Gaussians, Selection]:
    """Like a reconstruction: harmonics of degree 3; on the GPU."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    means = normal(gaussians, 3) * torch.tensor([0.5, 0.5, 0.2])
    scene = Gaussians(
        means, normal(gaussians, 4), normal(gaussians, 3) * 0.1 - 5.5, normal(gaussians), normal(gaussians, 3) * 0.3,
        normal(gaussians, 15, 3) * 0.05,
    )  # fmt: skip
    weights = torch.zeros(gaussians)
    weights[means.norm(dim=1).argsort()[:of_the_object]] = 1.0
    return scene.to("cuda"), Selection(weights, "the middle")


def peak_of_rounds(gaussians: int, tmp_path) -> int:
    """Bytes of the device at the peak of two steps of a round, by torch's allocator."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    scene, selection = large_scene(gaussians, gaussians // 20)
    edit, cameras = EditableObject(scene, selection), capture_cameras(64).to("cuda")
    photographs, config = torch.zeros(len(cameras), 64, 64, 3, dtype=torch.uint8), RoundsConfig()
    config.schedule.batch, config.schedule.views = 4, 4
    subject = GaussianSubject(
        edit, Capture(cameras, photographs, torch.zeros(3, device="cuda")), MODES["restyle"], config.losses
    )
    task, folder = Task("red", "restyle", 0), RoundsFolder(tmp_path / str(gaussians))
    made = EditRounds(subject, subject.views(), Tools(Repainter()), task, config, folder)
    optimizers = optimizers_of(edit)
    made.start()
    made.attach(optimizers)
    steps = ObjectSteps(edit, optimizers, None, subject.re_anchor)
    for _ in range(2):
        step_of(made, steps)
    return torch.cuda.max_memory_allocated()


def test_four_million_gaussians_and_an_object_of_200_000_fit_into_12_gib(tmp_path):
    """By the slope of two smaller scenes: what a Gaussian more takes at the peak, a twentieth of them the object's.

    The slope holds for scenes of any size, for views at a time become fewer from 2 million on. On top comes the model
    itself as a host holds it (once more the scene), which is not in this measurement.
    """
    small, large = 10_000, 30_000
    slope = (peak_of_rounds(large, tmp_path) - peak_of_rounds(small, tmp_path)) / (large - small)
    model = 59 * 4
    gib = 4_000_000 * (slope + model) / 2**30
    print(f"{slope:.0f} bytes a Gaussian at the peak, {gib:.1f} GiB for 4 million with the model")
    assert gib < 12

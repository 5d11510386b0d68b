"""What rounds edit, whatever it is made of: it renders the views of a capture, trains, and can be set back.

Views are numbered as in the capture. Pictures are [views, height, width, channels], sRGB in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn


@runtime_checkable
class Subject(Protocol):
    """The loop asks no more than this; `GaussianSubject` is an object made of Gaussians."""

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """What the optimizers train, by group; they may be replaced between steps (densification does)."""
        ...

    # --- seen -------------------------------------------------------------------------------------------------------

    def render(self, views: list[int], with_depth: bool = False) -> Float[Tensor, "views height width channels"]:
        """Whole pictures on the CPU, without gradients; the distance along the view axis as a fourth channel if asked
        for."""
        ...

    def render_boxes(
        self, views: Int[Tensor, " views"], boxes: Int[Tensor, "views 4"]
    ) -> tuple[Float[Tensor, "views height width 3"], dict[str, Any]]:
        """Differentiable renders of boxes x0, y0, x1, y1 of one size, and what the renderer tells about them."""
        ...

    def coverage(self, views: list[int]) -> Float[Tensor, "views height width 1"] | None:
        """How much of each pixel shows what is edited, on the CPU; None when that is everything: whole pictures."""
        ...

    # --- trained ----------------------------------------------------------------------------------------------------

    def losses(self) -> dict[str, Tensor]:
        """Weighted losses beside those of the pictures, such as what holds the subject in place; by name."""
        ...

    def draw_from(self, seed: int) -> None:
        """Whatever `losses` draws from now on comes from this seed, so that a resumed run draws the same."""
        ...

    def re_anchor(self) -> None:
        """What the subject is now is what its losses hold it to: at the start of a round, and after densification."""
        ...

    # --- kept -------------------------------------------------------------------------------------------------------

    def fingerprint(self) -> str:
        """Tells what was loaded from anything else; asked for before the first step."""
        ...

    def original_state(self) -> dict[str, Tensor]:
        """Everything as it was before the first round; asked for before the first step."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What rounds change, as it is now; the names begin neither with "optimizers." nor with "random."."""
        ...

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Become what `state` told, among whatever else is in `tensors`; the parameters are new ones.

        Raises:
            ValueError: not such a state, or one of something else.
        """
        ...

    def metrics(self) -> dict[str, Any]:
        """Numbers for a round's manifest, fit for JSON."""
        ...

    def kept_metrics(self, original: Path) -> dict[str, Any]:
        """Further numbers of a round's manifest about what its edits must not change, by the files: `original` holds
        the `original_state`, from which every round is put together again."""
        ...

    def write_files(self, folder: Path) -> None:
        """What people may want of a round beside its snapshot and its pictures."""
        ...

"""What is rasterized, and how: the same for both backends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

RenderMode = Literal["RGB", "D", "ED", "RGB+D", "RGB+ED"]
RasterizeMode = Literal["classic", "antialiased"]


class Splats(NamedTuple):
    """Gaussians as they are rasterized: activated, with the colours that one view sees or with harmonics for all."""

    means: Float[Tensor, "gaussians 3"]
    quats: Float[Tensor, "gaussians 4"]
    """w, x, y, z, of any length."""
    scales: Float[Tensor, "gaussians 3"]
    opacities: Float[Tensor, " gaussians"]
    colors: Tensor
    """[gaussians, channels], [views, gaussians, channels], or [gaussians, bases, 3] harmonics."""


@dataclass(frozen=True)
class RasterSettings:
    """How splats become pixels; names and defaults are those of `gsplat.rasterization`."""

    sh_degree: int | None = None
    """Colours are harmonics up to this degree; None: they are colours, or any other features."""
    render_mode: RenderMode = "RGB"
    """Which channels: colours, accumulated depth (D), expected depth (ED), which is the last channel."""
    rasterize_mode: RasterizeMode = "classic"
    """antialiased scales opacities as Mip-Splatting does."""
    backgrounds: Tensor | None = None
    """[views, channels] behind the splats, without depth; None is 0."""
    near_plane: float = 0.01
    """Splats nearer than this are not drawn."""
    far_plane: float = 1e10
    radius_clip: float = 0.0
    """Splats of a smaller radius in pixels are not drawn."""
    eps2d: float = 0.3
    """Added to the variance of every splat, in square pixels."""
    absgrad: bool = False
    """Backward also sums the absolute gradients of the splats' places, in `info["means2d"].absgrad`."""

    @property
    def with_color(self) -> bool:
        return "RGB" in self.render_mode

    @property
    def with_depth(self) -> bool:
        return "D" in self.render_mode

    @property
    def expected_depth(self) -> bool:
        return "ED" in self.render_mode

    @property
    def antialiased(self) -> bool:
        return self.rasterize_mode == "antialiased"


Rendered = tuple[Tensor, Tensor, dict[str, Any]]
"""Image [views, height, width, channels], alphas [views, height, width, 1], and what gsplat's strategies read."""

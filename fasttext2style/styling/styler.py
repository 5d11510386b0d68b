"""Restyles an object by a sentence, a picture, or both: each step renders the object from a batch of views and asks.

FastText2ObjectStyle (Barroso and Artru), Algorithms 1 and 2, with batched views at the encoder's own resolution,
cameras cropped to the object, and only the object's Gaussians rendered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fasttext2style.guidance.anchors import needle_penalty, opacity_anchor, position_anchor, scale_anchor
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.objective import TextStyleConfig, TextStyleObjective
from fasttext2style.guidance.picture_objective import PictureObjective, color_moments
from fasttext2style.scene.cameras import Cameras, evenly_spread
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render
from fasttext2style.scene.still import StillGaussians
from fasttext2style.selection.neighbours import nearest
from fasttext2style.styling.color_transfer import transfer_map
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.grade import mapped
from fasttext2style.styling.smoothness import NEIGHBOURS, hue_roughness
from fasttext2style.styling.views import ViewSampler, object_views

_COLOR_VIEWS = 8
"""In which the object's colours are looked at, before they become a picture's."""

Group = Literal["means", "scales", "quats", "features_dc", "features_rest", "opacities"]


@dataclass
class StylerConfig:
    """What one styling step does."""

    objective: TextStyleConfig = field(default_factory=TextStyleConfig)
    """Text loss, patches, content loss."""
    train: tuple[Group, ...] = ("features_dc", "features_rest")
    """Parameter groups that change; their learning rates stand under --optimizers. Colour carries the style. Scales
    give relief ("spiky", paper Fig. 2), but swell at the border of real captures; opacities make halos there, rotations
    do little."""
    views_per_step: int = 0
    """Views rendered in one batch. 0 chooses: 4 on a CPU, 16 on CUDA (the paper uses up to 64)."""
    render_size: int = 0
    """Side of the square object views in pixels; 0 takes the encoder's own resolution."""
    crop_margin: float = 1.15
    """Size of a view's crop relative to the object's box."""
    composite: bool = False
    """Render the whole scene behind the object for the text loss, too: slower, but the style sees its surroundings."""
    silhouette_anchor: float = 10.0
    """Weight of the penalty on renders that grow beyond the original silhouette (only when geometry trains)."""
    scale_anchor: float = 1.0
    """Weight of the penalty on Gaussians that stretch or swell beyond their original size."""
    opacity_anchor: float = 0.1
    """Weight of the penalty on opacities that leave their original value (only when opacities train)."""
    position_anchor: float = 1.0
    """Weight of the penalty on Gaussians that leave their original place (only when means train)."""
    hue_smoothness: float = 1000.0
    """Weight of the penalty on hues that differ from those of their neighbours on the surface, where the encoder knows
    the colours of the sentence (offline): without it a fine noise of colours stays. 0 leaves it out."""

    def check(self) -> None:
        """Raises ValueError for numbers out of range, and when nothing trains."""
        if not self.train:
            raise ValueError(
                "styler.train names no parameter group, so nothing would change: features_dc is the least."
            )
        for name in ("views_per_step", "render_size"):
            if getattr(self, name) < 0:
                raise ValueError(f"styler.{name} must be 0 (chosen for you) or more, got {getattr(self, name)}.")
        if not 0 < self.crop_margin < math.inf:
            raise ValueError(f"styler.crop_margin must be above 0, got {self.crop_margin}.")
        for name in ("silhouette_anchor", "scale_anchor", "opacity_anchor", "position_anchor", "hue_smoothness"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"styler.{name} must be 0 or more, got {getattr(self, name)}.")
        self.objective.check()


class ObjectStyler:
    """The loss of one sentence on one object, of a picture, or of both. With a picture the object takes on its colours
    at once, before the first step.

    Args:
        edit: the object.
        cameras: views of the capture; those that show the object are cropped to it.
        encoder: text-image encoder.
        prompt: the sentence; may be empty if there is a picture.
        seed: draws views, negatives and patches.
        picture: the style as a picture.

    Raises:
        ValueError: no view shows the object, the prompt says nothing that the encoder knows, or a picture that should
            be compared with a composite.
    """

    def __init__(
        self,
        edit: EditableObject,
        cameras: Cameras,
        encoder: TextImageEncoder,
        prompt: str,
        config: StylerConfig,
        seed: int = 0,
        picture: PictureObjective | None = None,
    ) -> None:
        if picture is not None and config.composite:
            raise ValueError("A style picture is compared with the object alone: leave styler.composite False.")
        self.edit, self.config, self.encoder, self.picture = edit, config, encoder, picture
        device = edit.scene.device
        self.size = config.render_size or max(encoder.resolution, 0 if picture is None else picture.config.size)
        self.views = object_views(edit.original, cameras, self.size, config.crop_margin)
        self.outside = StillGaussians(edit.outside()) if config.composite else None
        batch = config.views_per_step or (16 if device.type == "cuda" else 4)
        self.sampler = ViewSampler(len(self.views), batch, seed)
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self.objective = None
        if picture is None or prompt.strip():
            # A composite shows more than the object, whose colours these are.
            asked = replace(config.objective, color_weight=0.0) if config.composite else config.objective
            self.objective = TextStyleObjective(asked, encoder, prompt, device, seed)
        self.anchor, self._neighbours = edit.original, None
        # Filled when a view's turn comes: the first step need not wait for all of them.
        shape = (len(self.views), self.size, self.size)
        self._original_images = torch.zeros(*shape, 3, device=device)
        self._original_alphas = torch.zeros(*shape, 1, device=device)
        self._rendered, self._visible = (torch.zeros(len(self.views), dtype=torch.bool) for _ in range(2))
        if picture is not None and picture.config.color_transfer:
            self._take_colors(picture)

    def losses(self) -> tuple[dict[str, Tensor], dict]:
        """Named, weighted losses of the next batch of views, and the rasterizer's info (for densification)."""
        chosen = self.sampler.next()
        now = self.edit.gaussians(self.config.train)
        images, alphas, info = self.render(now, self.views[chosen.to(self.edit.scene.device, non_blocking=True)])
        originals, original_alphas = self.originals(chosen)
        losses: dict[str, Tensor] = {}
        if self.objective is not None:
            losses |= self.objective(images, alphas, originals, original_alphas, self.generator)
        if self.picture is not None:
            losses |= self.picture(images, alphas, originals)
        if set(self.config.train) - {"features_dc", "features_rest"} and self.config.silhouette_anchor:
            grown = (alphas - original_alphas).clamp_min(0)
            losses["silhouette_anchor"] = self.config.silhouette_anchor * grown.square().mean()
        if self._hues_are_known and "features_dc" in self.config.train and self.config.hue_smoothness:
            if self._neighbours is None:
                self._neighbours = nearest(self.anchor.means, NEIGHBOURS)
            losses["hue_smoothness"] = self.config.hue_smoothness * hue_roughness(now.sh_dc, self._neighbours)
        return losses | self._anchor_losses(now), info

    @property
    def _hues_are_known(self) -> bool:
        """Whether a palette sets them. A network that searches them lets patches of a wrong colour shrink from within:
        smoothness would hold them (a golden bear of the embedded encoder kept a blue one)."""
        return self.picture is None and self.objective is not None and self.objective.has_palette

    def originals(
        self, chosen: Int[Tensor, " views"]
    ) -> tuple[Float[Tensor, "views height width 3"], Float[Tensor, "views height width 1"]]:
        """Images and alphas of the untouched object in some of the views, rendered when they are first asked for.

        Args:
            chosen: numbers of views, on the CPU: what is there already is known without asking the device.

        Raises:
            ValueError: the object is hardly there in any of these views.
        """
        device = self.edit.scene.device
        missing = chosen[~self._rendered[chosen]]
        for views in missing.split(8) if len(missing) else ():
            there = views.to(device)
            images, alphas, _ = self.render(self.edit.original, self.views[there])
            self._original_images[there], self._original_alphas[there] = images, alphas
            self._rendered[views], self._visible[views] = True, (alphas > 0.1).flatten(1).any(dim=1).cpu()
        there = chosen.to(device, non_blocking=True)
        if not bool(self._visible[chosen].any()):
            raise ValueError(
                f"The object ({len(self.edit.original):,} Gaussians) cannot be seen in its views: all of it is nearly "
                "transparent, or smaller than a pixel. Select more of it, or look whether the capture's cameras stand "
                "where they should (ft2s views RUN)."
            )
        return self._original_images[there], self._original_alphas[there]

    def draw_from(self, seed: int) -> None:
        """Views and patches of the following steps come from this seed, whatever was drawn before."""
        self.sampler = ViewSampler(len(self.views), self.sampler.batch, seed)
        self.generator.manual_seed(seed)

    def re_anchor(self) -> None:
        """After densification: the anchors hold what there is now (new Gaussians have no older value)."""
        self.anchor, self._neighbours = self.edit.gaussians(trainable=()).copy(), None

    @torch.no_grad()
    def similarity(self, gaussians: Gaussians, at_most: int = 0) -> Float[Tensor, " views"]:
        """Cosine between the prompt (without one: the picture) and each object view of these Gaussians, on black.

        `at_most` takes that many views, evenly spread; 0 takes all.
        """
        if self.objective is None:
            return self.picture_similarity(gaussians, at_most)
        return torch.cat([self.objective.similarity(images) for images in self._some_views(gaussians, at_most)])

    @torch.no_grad()
    def picture_similarity(self, gaussians: Gaussians, at_most: int = 0) -> Float[Tensor, " views"]:
        """As `similarity`, to the picture."""
        assert self.picture is not None, "there is no picture"
        parts = self._some_views(gaussians, at_most)
        return torch.cat([self.picture.similarity(self.encoder, images) for images in parts])

    def _some_views(self, gaussians: Gaussians, at_most: int) -> list[Tensor]:
        views = self.views.evenly(at_most) if at_most else self.views
        return [self.render(gaussians, views[start : start + 4])[0] for start in range(0, len(views), 4)]

    @torch.no_grad()
    def _take_colors(self, picture: PictureObjective) -> None:
        """Give the object the picture's colours, as far as its colours train."""
        images, alphas = self.originals(torch.tensor(evenly_spread(len(self.views), _COLOR_VIEWS)))
        shown = alphas[..., 0] > 0.1  # as much counts as visible
        seen = color_moments(images[shown] / alphas[shown], alphas[shown][:, 0])
        mapping = transfer_map(*seen, picture.mean, picture.covariance, picture.config.color_transfer)
        for name, column in mapped(self.edit.original, self.edit.weights, mapping).items():
            if name in self.config.train:
                self.edit.parameters[name].copy_(column)

    @torch.no_grad()
    def judged(self, gaussians: Gaussians, judge: TextImageEncoder, prompt: str, at_most: int = 12) -> float:
        """Mean cosine between the prompt and views of these Gaussians by an encoder that nothing was optimised for."""
        text = judge.embed_texts([prompt])[0]
        parts = self._some_views(gaussians, at_most)
        return float(torch.cat([judge.embed_images(images) @ text for images in parts]).mean())

    def _anchor_losses(self, now: Gaussians) -> dict[str, Tensor]:
        losses, config = {}, self.config
        if "scales" in config.train and config.scale_anchor:
            pair = (now.log_scales, self.anchor.log_scales)
            losses["scale_anchor"] = config.scale_anchor * (scale_anchor(*pair) + needle_penalty(*pair))
        if "opacities" in config.train and config.opacity_anchor:
            losses["opacity_anchor"] = config.opacity_anchor * opacity_anchor(
                now.logit_opacities, self.anchor.logit_opacities
            )
        if "means" in config.train and config.position_anchor:
            losses["position_anchor"] = config.position_anchor * position_anchor(
                now.means, self.anchor.means, self.anchor.scales
            )
        return losses

    def render(
        self, gaussians: Gaussians, cameras: Cameras
    ) -> tuple[Float[Tensor, "views height width 3"], Float[Tensor, "views height width 1"], dict]:
        """On black. Antialiased: at the encoder's low resolution the classic mode would thicken small Gaussians."""
        draw = render if self.outside is None else self.outside.render_behind
        images, alphas, info = draw(gaussians, cameras, rasterize_mode="antialiased")
        return images.clamp(0, 1), alphas, info

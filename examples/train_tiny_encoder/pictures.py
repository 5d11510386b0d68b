"""Labelled pictures: surfaces painted with materials, lit, set before backgrounds, blurred; and pictures of no style.

Each picture has a look and a `share` in [0, 1] of it: 1 for an object wholly of that look, 0 for junk, between the two
for objects painted in places or faintly. The encoder learns the share as a probability, so that an optimiser that
starts at another look finds a slope and not a cliff.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from captions import Look, all_looks
from materials import COLOURS, MATERIALS, Brush, mix, plain, step
from shapes import Surfaces, random_surfaces
from torch import Tensor
from torch.nn import functional

TEXTURE_SIZE = 96
VARIANTS = 8
LIGHTS = ("matte", "glossy", "metal", "glowing")


@dataclass(frozen=True)
class Pictures:
    """A batch: images [count, 3, size, size], the index of each one's look, how far it has it."""

    images: Tensor
    looks: Tensor
    shares: Tensor
    below: Tensor
    """Index of the look that shines through where a picture has only a share of its own; -1: none."""


@dataclass(frozen=True)
class Steps:
    """What an optimiser may do next: pictures on the way to a look, each also a step further and a step astray.

    The step is taken in a part of the object only. All [count, 3, size, size]; light, crop and background are the same
    in all three.
    """

    here: Tensor
    further: Tensor
    astray: Tensor
    looks: Tensor


class Studio:
    """A store of surfaces and textures, and pictures of them. All follows from the seed and the order of calls."""

    def __init__(self, seed: int, size: int = 64, surfaces: int = 1400) -> None:
        self.size, self.looks = size, all_looks()
        self.generator = torch.Generator().manual_seed(seed)
        self.surfaces = random_surfaces(surfaces, size, self.generator)
        self.textures = torch.stack([self._paint(look) for look in self.looks])
        self.lights = torch.tensor([LIGHTS.index(_light(look)) for look in self.looks])
        ramps = [MATERIALS[look.material].ramp if look.material else () for look in self.looks]
        self.ramps = torch.tensor([ramp or ((0.0, 0.0, 0.0),) * 5 for ramp in ramps])
        weights = [1.0 if look.colour is None else (1.2 if look.material is None else 0.16) for look in self.looks]
        weights[self.looks.index(Look(None, "gold"))] = 2.0
        self.weights = torch.tensor(weights)

    def take(self, count: int) -> Pictures:
        """Rather more than half wholly in a style, a quarter partly, the rest junk."""
        looks = torch.multinomial(self.weights, count, replacement=True, generator=self.generator)
        kind = self._rand(count)
        partly, junk = (kind >= 0.54) & (kind < 0.82), kind >= 0.82
        surface = self.surfaces.pick(torch.randint(len(self.surfaces.covered), (count,), generator=self.generator))
        images = self._render(looks, surface)
        shares = torch.ones(count)
        chosen = partly.nonzero().squeeze(1)
        below = torch.full((count,), -1)
        images[chosen], shares[chosen], below[chosen] = self._partly(images[chosen], _rows(surface, chosen))
        chosen = junk.nonzero().squeeze(1)
        images[chosen], shares[chosen] = self._junk(images[chosen], _rows(surface, chosen)), 0.0
        images = self._before_backgrounds(images, surface.covered, looks)
        return Pictures(self._photographed(images).clamp(0, 1), looks, shares, below)

    def steps(self, count: int) -> Steps:
        """Two in five begin at an untouched object, mostly a grey one, where runs begin."""
        greys = self._greys()
        weights = self.weights.index_fill(0, greys, 0.0)
        looks = torch.multinomial(weights, count, replacement=True, generator=self.generator)
        surface = self.surfaces.pick(torch.randint(len(self.surfaces.covered), (count,), generator=self.generator))
        styled = self._render(looks, surface)
        others = torch.multinomial(self.weights, count, replacement=True, generator=self.generator)
        grey = greys[torch.randint(len(greys), (count,), generator=self.generator)]
        below = self._render(torch.where(self._rand(count) < 0.75, grey, others), surface)
        brush, area = self._brush(count), surface.covered.sum((2, 3), keepdim=True).clamp(min=1)
        mean = (styled * surface.covered).sum((2, 3), keepdim=True) / area
        # Untouched objects are of any brightness, and their lit side is often nearly white.
        below = (below * brush.number(0.6, 1.9)).clamp(0, 1)
        # Often the original's light and shade stays and only its colour moves.
        grey_below = below.mean(1, keepdim=True)
        level = (grey_below * surface.covered).sum((2, 3), keepdim=True) / area
        recoloured = (mean * (grey_below / level.clamp(min=0.05)).clamp(0.25, 1.7)).clamp(0, 1)
        styled = torch.where(brush.number(0, 1) < 0.4, recoloured, styled)
        hues = [self._strong_colours(count) for _ in range(3)]
        wrong = torch.stack(hues)[
            torch.stack([(hue - mean).norm(dim=1) for hue in hues]).argmax(0).flatten(), range(count)
        ]
        kind = brush.number(0, 1)
        # White and grey are astray too, where something has been done already.
        pale = (brush.number(0, 1) < 0.4) & (kind > 0.4)
        wrong = torch.where(pale, brush.number(0, 1), wrong) * (0.4 + grey_below).clamp(max=1)
        done = torch.where(kind < 0.4, torch.zeros(1), brush.number(0, 0.8).expand(-1, -1, self.size, self.size))
        done = torch.where(kind > 0.65, step(brush.noise(3, 2), brush.number(0.2, 0.8), 0.15), done)
        part = brush.number(0.1, 1.0) * step(brush.noise(3, 2), brush.number(0.2, 0.75), 0.2)
        here = mix(below, styled, done)
        state, pictures = self.generator.get_state(), []
        for images in (here, mix(here, styled, part), mix(here, wrong, part)):
            self.generator.set_state(state)
            pictures.append(self._photographed(self._before_backgrounds(images, surface.covered, looks)).clamp(0, 1))
        return Steps(*pictures, looks)

    def whole(self, looks: Tensor) -> Tensor:
        """Pictures [count, 3, size, size] of objects wholly of these looks (indices)."""
        surface = self.surfaces.pick(torch.randint(len(self.surfaces.covered), looks.shape, generator=self.generator))
        images = self._before_backgrounds(self._render(looks, surface), surface.covered, looks)
        return self._photographed(images).clamp(0, 1)

    def junk(self, count: int) -> Tensor:
        """Pictures of no style: motley, patchworks, speckle."""
        looks = torch.multinomial(self.weights, count, replacement=True, generator=self.generator)
        surface = self.surfaces.pick(torch.randint(len(self.surfaces.covered), (count,), generator=self.generator))
        images = self._junk(self._render(looks, surface), surface)
        return self._photographed(self._before_backgrounds(images, surface.covered, looks)).clamp(0, 1)

    def _greys(self) -> Tensor:
        """Looks of things that wait to be styled."""
        greys = [Look("gray"), Look(None, "stone"), Look("black"), Look("brown"), Look("white")]
        return torch.tensor([self.looks.index(look) for look in greys])

    def _strong_colours(self, count: int) -> Tensor:
        hue = self._rand(count, 1, 1, 1) + torch.tensor([0.0, 1 / 3, 2 / 3]).view(1, 3, 1, 1)
        return (0.5 + 0.9 * torch.cos(2 * math.pi * hue)).clamp(0, 1)

    def _rand(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator)

    def _brush(self, count: int) -> Brush:
        return Brush(self.generator, count, self.size)

    def _paint(self, look: Look) -> Tensor:
        brush = Brush(self.generator, VARIANTS, TEXTURE_SIZE)
        if look.material is None:
            return plain(brush, brush.colour(COLOURS[look.colour], 0.07)).clamp(0, 1)
        material = MATERIALS[look.material]
        base = COLOURS[look.colour] if look.colour else material.base or (0.5, 0.5, 0.5)
        return material.paint(brush, brush.colour(base)).clamp(0, 1)

    def _render(self, looks: Tensor, surface: Surfaces) -> Tensor:
        """Texture and light, [count, 3, size, size]; arbitrary beside the surface."""
        count = len(looks)
        texture = self.textures[looks, torch.randint(VARIANTS, (count,), generator=self.generator)]
        albedo = self._textured(texture, surface)
        normals = surface.normals
        light, fill = (self._direction(count) for _ in range(2))
        diffuse = _dot(normals, light).clamp(min=0) + 0.35 * self._rand(count, 1, 1, 1) * _dot(normals, fill).clamp(
            min=0
        )
        ambient = 0.25 + 0.6 * self._rand(count, 1, 1, 1)
        shade = (ambient + (1.15 - ambient) * diffuse).clamp(max=1.2)
        halfway = functional.normalize(light + torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1), dim=1)
        gloss = (
            0.7
            * self._rand(count, 1, 1, 1)
            * _dot(normals, halfway).clamp(min=0) ** (15 + 60 * self._rand(count, 1, 1, 1))
        )
        kinds = self.lights[looks]
        matte = albedo * shade
        glossy = matte * (1 - gloss) + gloss
        glowing = albedo * (0.8 + 0.25 * shade)
        shiny = kinds == LIGHTS.index("glossy")
        images = torch.where(shiny.view(-1, 1, 1, 1), glossy, matte)
        images = torch.where((kinds == LIGHTS.index("glowing")).view(-1, 1, 1, 1), glowing, images)
        metal = (kinds == LIGHTS.index("metal")).nonzero().squeeze(1)
        if len(metal):
            images[metal] = self._mirrored(self.ramps[looks[metal]], albedo[metal, :1], normals[metal])
        return images.clamp(0, 1)

    def _textured(self, texture: Tensor, surface: Surfaces) -> Tensor:
        """Each place takes the texture from the side that it faces most (boxes, roughly, for everything)."""
        turn, _ = torch.linalg.qr(torch.randn(len(texture), 3, 3, generator=self.generator))
        # Half of the textures stand upright, as bricks on a wall do.
        upright = torch.eye(3).expand_as(turn)
        turn = torch.where(self._rand(len(texture), 1, 1) < 0.5, upright, turn)
        positions = torch.einsum("nij,njhw->nihw", turn, surface.positions)
        slopes = torch.stack([positions.roll(-1, 3) - positions, positions.roll(-1, 2) - positions], -1).abs().sum(-1)
        # The axis along which the position changes least is the one that the surface faces.
        faces_x = slopes[:, 0] < torch.minimum(slopes[:, 1], slopes[:, 2])
        faces_y = ~faces_x & (slopes[:, 1] < slopes[:, 2])
        x, y, z = positions.unbind(1)
        uv = torch.stack([torch.where(faces_x, z, x), torch.where(faces_y, z, y)], -1)
        uv = uv * (0.3 + 0.5 * self._rand(len(texture), 1, 1, 1)) + self._rand(len(texture), 1, 1, 2)
        return functional.grid_sample(texture, 2 * uv.remainder(1) - 1, padding_mode="border", align_corners=False)

    def _direction(self, count: int) -> Tensor:
        """Lights stand before the object and mostly above it."""
        raw = torch.randn(count, 3, generator=self.generator) * torch.tensor([1.0, 0.7, 0.5]) + torch.tensor(
            [0.0, 0.6, 0.9]
        )
        return functional.normalize(raw, dim=-1)[..., None, None]

    def _mirrored(self, ramps: Tensor, polish: Tensor, normals: Tensor) -> Tensor:
        """Metal: bright sky, dark horizon, a few lamps, seen in the reflection and coloured by the metal's ramp."""
        count = len(ramps)
        mirror = 2 * normals[:, 2:] * normals - torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
        sharp = 1.5 + 5 * self._rand(count, 1, 1, 1)
        horizon = 0.5 * (self._rand(count, 1, 1, 1) - 0.6)
        seen = 0.28 + 0.34 * torch.tanh(sharp * (mirror[:, 1:2] - horizon))
        for _ in range(4):
            width = 2 + 14 * self._rand(count, 1, 1, 1)
            power = self._rand(count, 1, 1, 1) - 0.3
            seen = seen + power * (width * (_dot(mirror, self._direction(count)) - 1)).exp()
        seen = seen + 0.2 * (1 - normals[:, 2:].clamp(0, 1)) + 0.12 * self._rand(count, 1, 1, 1) + 0.5 * (polish - 0.5)
        return _along(ramps, seen.clamp(0, 1))

    def _partly(self, images: Tensor, surface: Surfaces) -> tuple[Tensor, Tensor, Tensor]:
        """Styled in places only, or all over but weakly, above another look (often grey, as runs begin)."""
        count = len(images)
        # Small shares are the commonest: they are the first steps of a run, and Adam follows the faintest slope.
        share = self._rand(count, 1, 1, 1) ** (1 + (self._rand(count, 1, 1, 1) < 0.6).float())
        others = torch.multinomial(self.weights, count, replacement=True, generator=self.generator)
        greys = self._greys()
        grey = greys[torch.randint(len(greys), (count,), generator=self.generator)]
        below_looks = torch.where(self._rand(count) < 0.6, grey, others)
        below = self._render(below_looks, surface)
        # Or the same light and shade in any strong colour: cyan spots on red things are what optimisers like to leave.
        strong = self._strong_colours(count) * (0.4 + images.mean(1, keepdim=True)).clamp(max=1)
        garish = (self._rand(count) < 0.4) & (share.flatten() > 0.3)
        below = torch.where(garish.view(-1, 1, 1, 1), strong, below)
        below_looks = torch.where(garish, -1, below_looks)
        brush = self._brush(count)
        field = torch.where(brush.number(0, 1) < 0.5, brush.noise(3, 2), 0.5 + 0.5 * surface.normals[:, 1:2])
        field = torch.where(brush.number(0, 1) < 0.25, brush.noise(16, 2), field)
        rows = zip(field, surface.covered, share.flatten())
        edge = torch.stack([f[c > 0.5].quantile(1 - s) if (c > 0.5).any() else s for f, c, s in rows])
        patches = ((field - edge.view(-1, 1, 1, 1)) / 0.12 + 0.5).clamp(0, 1)
        mask = torch.where(brush.number(0, 1) < 0.5, share.expand_as(patches), patches)
        return below + mask * (images - below), share.flatten() ** 1.2, below_looks

    def _junk(self, images: Tensor, surface: Surfaces) -> Tensor:
        """Motley blobs, patchworks of materials, speckle, all of them with or without an object's light and shade."""
        count = len(images)
        brush = self._brush(count)
        cells = (2, 3, 5, 8, 16, 32, self.size)
        motley = torch.cat([self._motley(1, cells[i % len(cells)]) for i in range(count)]) if count else images
        patches = images
        for _ in range(3):
            other = self._render(
                torch.multinomial(self.weights, count, replacement=True, generator=self.generator), surface
            )
            patches = torch.where(brush.noise(4, 2) > 0.55, other, patches)
        strength = brush.number(0.25, 0.7)
        speckled = images + strength * 1.5 * (self._motley(count, self.size) - 0.5)
        tinted = images + brush.number(0.6, 1.1) * (motley - 0.5)
        shade = (0.4 + 0.6 * surface.normals[:, 2:].clamp(0, 1)) * surface.covered + 1 - surface.covered
        lit = motley * torch.where(brush.number(0, 1) < 0.6, shade, torch.ones(1))
        choice = brush.number(0, 1)
        junk = torch.where(choice < 0.4, lit, patches)
        junk = torch.where(choice > 0.6, tinted, junk)
        return torch.where(choice > 0.88, speckled, junk).clamp(0, 1)

    def _motley(self, count: int, cells: int) -> Tensor:
        """Random colours on a grid of cells x cells, from pale to garish."""
        grid = self._rand(count, 3, cells, cells)
        grid = (0.5 + (grid - 0.5) * (0.5 + 1.3 * self._rand(count, 1, 1, 1))).clamp(0, 1)
        mode = "nearest" if cells == self.size else "bilinear"
        return functional.interpolate(grid, (self.size, self.size), mode=mode).clamp(0, 1)

    def _before_backgrounds(self, images: Tensor, covered: Tensor, looks: Tensor) -> Tensor:
        """Black, white, grey, noise, soft blobs, now and then a plain colour; never one that would hide the object."""
        count = len(images)
        brush = self._brush(count)
        kind = self._rand(count)
        hides = torch.tensor([_grey_level(self.looks[i]) for i in looks.tolist()])
        kind = torch.where((hides == 0) & (kind < 0.25), 0.3, kind)
        kind = torch.where((hides == 1) & (kind >= 0.25) & (kind < 0.4), 0.1, kind).view(-1, 1, 1, 1)
        level = brush.number(0, 1)
        # Hardly any colours: an encoder that expects garish surroundings takes garish spots on the object for them.
        grainy = level + brush.number(0, 0.7) * (self._rand(count, 3, self.size, self.size) - 0.5)
        soft = brush.noise(3, 2) * brush.number(0.3, 1.0) * (1 + 0.25 * (self._rand(count, 3, 1, 1) - 0.5))
        behind = torch.where(kind < 0.25, torch.zeros(1), torch.ones(1)).expand(-1, 3, self.size, self.size)
        for start, background in ((0.40, level), (0.60, grainy), (0.78, soft), (0.97, self._rand(count, 3, 1, 1))):
            behind = torch.where(kind >= start, background, behind)
        return behind + covered * (images - behind)

    def _photographed(self, images: Tensor) -> Tensor:
        """Cropped, turned, blurred, over- or underexposed, grainy: what renders and patches of renders look like."""
        count = len(images)
        angle, zoom = 0.5 * (self._rand(count) - 0.5), 0.45 + 0.65 * self._rand(count)
        shift = (self._rand(count, 2) - 0.5) * (1.1 - zoom[:, None]).clamp(min=0) * 1.6
        lean = 0.2 * (self._rand(count) - 0.5)
        rows = [
            [zoom * angle.cos(), -zoom * angle.sin() + lean, shift[:, 0]],
            [zoom * angle.sin(), zoom * angle.cos(), shift[:, 1]],
        ]
        grid = functional.affine_grid(
            torch.stack([torch.stack(r, -1) for r in rows], 1), list(images.shape), align_corners=False
        )
        warped = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
        images = torch.where(self._rand(count, 1, 1, 1) < 0.6, warped, images)
        for side in (14, 20, 28, 40):
            chosen = (self._rand(count) < 0.13).nonzero().squeeze(1)
            small = functional.interpolate(images[chosen], (side, side), mode="bilinear", antialias=True)
            images[chosen] = functional.interpolate(small, (self.size, self.size), mode="bilinear")
        exposure = torch.exp(0.3 * (self._rand(count, 1, 1, 1) - 0.5))
        grain = 0.09 * (self._rand(count, 1, 1, 1) - 0.4).clamp(min=0) / 0.6
        return images * exposure + grain * torch.randn(images.shape, generator=self.generator)


def _rows(surface: Surfaces, indices: Tensor) -> Surfaces:
    return Surfaces(surface.positions[indices], surface.normals[indices], surface.covered[indices])


def _light(look: Look) -> str:
    return "matte" if look.material is None else MATERIALS[look.material].light


def _grey_level(look: Look) -> int:
    """0 for black things, 1 for white ones, -1 for all others."""
    if look.material in ("snow", "marble") and look.colour is None:
        return 1
    return {"black": 0, "white": 1}.get(look.colour or "", -1) if look.material in (None, "leather", "marble") else -1


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum(1, keepdim=True)


def _along(ramps: Tensor, share: Tensor) -> Tensor:
    """Colours at `share` [count, 1, h, w] of the way along ramps [count, stops, 3]."""
    position = share * (ramps.shape[1] - 1)
    stops = (1 - (position - torch.arange(ramps.shape[1]).view(1, -1, 1, 1)).abs()).clamp(min=0)
    return torch.einsum("nshw,nsc->nchw", stops, ramps)

"""What stands on what: level planes that reach far beyond the things on them, and the connected bodies above."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.foot import foot_of
from fasttext2style.selection.neighbours import LONGEST_GAP, longest_gap
from fasttext2style.selection.seen import ONE_SIDED, SeenScene, connected, look_at, some_views, weighted_median

MOST_PLANES = 3
"""A table on a floor are two."""
PLANE_TOLERANCE = 0.02
"""Half thickness of a plane in the search, in units of the cameras' distance."""
HIGHEST_FOOT = 1.5
"""So many half thicknesses above a plane everything is above it, however rough it is."""
GROUND_TILT_DEGREES = 35.0
GROUND_REACH = 2.2
"""A plane is ground if it spreads over this many times the area of what stands on it.

Measured: the rock under the bear capture's statue 3.2, the toy scene's deck 14; their slabs, part of the object, 1.1
and 1.7.
"""
ONE_SIDED_REACH = 1.4
"""So many times more, where cameras on one side leave half of a thing's footprint unseen: then a plinth's top had 2.24,
and 1.9 seen from all around."""
BESIDE = 1.2
"""So many times as far as a body a ground reaches on a side. Measured on the worst of three sides: grounds 2.1 or more
(the dinosaur's), the shoulders of a reconstructed face .8."""
IN_THE_AIR = 4.5
"""So many half thicknesses above its ground a body stands on nothing that is seen: on what is below it, then."""
LONGEST_DROP = 2.0
"""So far below it, in units of the longest gap across which Gaussians touch. A lamp's shade over its pole had 1.0, what
stands beside things 3."""
FREE_SHARE = 0.9
"""What stands on no ground is free if it lies within this share of the cameras' distance, rather than to be cut off
there."""
LEAST_BODY = 10
"""Gaussians; fewer are no body."""
STATUE = (0.25, 0.95)
"""Of what is seen of a thing, what may stand on a base that is part of it. The toy scene's bear on its slab: .66."""
WALL_TILT_DEGREES = 50.0
WALL_REACH = 1.6
"""So many times as far as the things before it a wall reaches above and beside them. The front of a bust, seen as the
wall behind its face: 1.07 to 1.32 above; walls behind things: 2.6 or more."""
LEAST_BEFORE_WALL = 0.3
"""Of what the middle of the pictures shows of a wall and before it; a picture on a wall has nothing before it."""


def near(scene: SeenScene) -> Int[Tensor, " near"]:
    """The same without a wall behind it, if the cameras stand before one."""
    rows = scene.close()
    if float(scene.towards.norm()) <= ONE_SIDED:
        return rows
    front = torch.nn.functional.normalize(scene.towards, dim=0)
    wall = find_plane(scene, rows, front, WALL_TILT_DEGREES)
    if wall is None or float(wall[0] @ scene.up) > math.cos(math.radians(GROUND_TILT_DEGREES)):
        return rows
    normal, offset = wall
    tolerance = PLANE_TOLERANCE * scene.distance
    height = scene.means[rows] @ normal - offset
    before, within = rows[height > HIGHEST_FOOT * tolerance], rows[height.abs() < tolerance]
    # Front sides of the object itself are no wall: a wall lies behind what is looked at, and reaches beyond it.
    if float(scene.focus @ normal) - offset < tolerance or len(before) < LEAST_BODY:
        return rows
    across = torch.linalg.svd(normal[None], full_matrices=True)[2][1:].T
    reaches = _area(scene.means[within] @ across) > _area(scene.means[before] @ across)
    reaches = reaches and _is_seen_above_and_beside(scene, within, before, normal)
    shown, on_it = float(scene.central[before].sum()), float(scene.central[within].sum())
    return before if reaches and shown > LEAST_BEFORE_WALL * (shown + on_it) else rows


def _is_seen_above_and_beside(
    scene: SeenScene, wall: Int[Tensor, " wall"], things: Int[Tensor, " things"], normal: Float[Tensor, "3"]
) -> bool:
    """A chest reaches beyond a head, too, but not above it. Below things floor may hide the wall."""
    sideways = torch.nn.functional.normalize(torch.linalg.cross(scene.up, normal), dim=0)
    for direction in (scene.up, sideways, -sideways):
        of_wall, of_things = (_some(scene.means[rows]) @ direction for rows in (wall, things))
        middle = of_things.median()
        if of_wall.quantile(0.95) - middle < WALL_REACH * (of_things.quantile(0.95) - middle):
            return False
    return True


@dataclass(frozen=True)
class Things:
    """The things of a scene that stand free."""

    of: Int[Tensor, " gaussians"]
    """The thing of each Gaussian, -1 for ground, background and whatever is not free."""
    under: tuple[int, ...]
    """The thing on which each thing stands, -1 for the ground."""
    foot: float
    """So high, in units of the scene, what stands on the ground cannot be told from it."""
    on_base: Bool[Tensor, " gaussians"]
    """What stands on a base that is part of the same thing: a statue on its slab."""

    @staticmethod
    def unknown(gaussians: Gaussians) -> Things:
        """Where no cameras say what stands on what."""
        return Things(torch.full((len(gaussians),), -1), (), 0.0, torch.zeros(len(gaussians), dtype=torch.bool))

    def on(self, thing: int) -> list[int]:
        """This thing and all that stands on it."""
        found = [thing]
        for other, below in enumerate(self.under):  # what stands on a thing comes after it
            if below in found:
                found.append(other)
        return found


def find_things(gaussians: Gaussians, cameras: Cameras) -> Things:
    """Everything that stands free where the cameras look; what no view sees is taken for what lies next to it."""
    scene = look_at(gaussians, some_views(cameras))
    rows, under = near(scene), list[int]()
    of, on_base = torch.full((len(gaussians),), -1), torch.zeros(len(gaussians), dtype=torch.bool)

    def number(standing: Standing, below: int) -> None:
        for body in standing.free_bodies():
            of[body.rows.cpu()] = len(under)
            on_base[body.on_its_base().cpu()] = True
            under.append(below)
            number(body, len(under) - 1)

    number(Standing(scene, rows), -1)
    unseen = (scene.visible <= 0).nonzero()[:, 0].cpu().numpy()
    if len(rows) and len(unseen):
        means, numbers = scene.means.double().cpu().numpy(), rows.cpu().numpy()
        distances, nearest = KDTree(means[numbers]).query(
            means[unseen], distance_upper_bound=LONGEST_GAP * scene.distance
        )
        close = np.isfinite(distances)
        for known in (of, on_base):
            known[unseen[close]] = known[numbers[np.asarray(nearest)[close]]]
    return Things(of, tuple(under), HIGHEST_FOOT * PLANE_TOLERANCE * scene.distance, on_base)


class Standing:
    """Some Gaussians of a scene, the level plane among them, and the bodies above it.

    A body is free if what it stands on reaches well beyond it; it then is a `Standing` itself, for it may be a table
    with things on it.
    """

    def __init__(self, scene: SeenScene, rows: Int[Tensor, " rows"], floor: int = 0) -> None:
        self.scene, self.rows, self._floor = scene, rows, floor
        # A ground is large beside all that is there, a wall included, and not just beside what stands before the wall.
        all_of_it = float(scene.visible[rows if floor > 0 else scene.close()].sum())
        plane = find_plane(scene, rows, of=all_of_it) if floor < MOST_PLANES else None
        ground = None if plane is None else self._on(*plane)
        self._plane = None if ground is None else plane
        self._area = 0.0
        if ground is not None:
            self._above, self._sideways, self._ground_rows = ground
            self._ground = scene.means[self._ground_rows] @ self._sideways
            self._area = _area(self._ground)
        else:  # where nothing stands on a ground, what touches nothing is free
            self._above = rows if floor == 0 else rows[:0]
        self._labels = connected(scene, self._above)
        if self._plane is not None:
            normal, offset = self._plane
            self._labels = _carried(scene, self._above, self._labels, scene.means[self._above] @ normal - offset)
        self._bodies: dict[int, Standing | None] = {}

    def _on(self, normal: Float[Tensor, "3"], offset: float) -> tuple[Int[Tensor, " above"], Tensor, Tensor] | None:
        """Rows above the plane, two directions [3, 2] along it, and rows in it; None if it is part of the object."""
        scene, rows, tolerance = self.scene, self.rows, PLANE_TOLERANCE * self.scene.distance
        height = scene.means[rows] @ normal - offset
        within = height.abs() < tolerance
        # Ground as rough as it is: three robust standard deviations.
        roughness = 3 * 1.4826 * float(weighted_median(height[within].abs(), scene.visible[rows[within]]))
        above = rows[height > min(max(roughness, 0.15 * tolerance), HIGHEST_FOOT * tolerance)]
        # Level parts of the object itself are no ground: most of what is in the middle of the pictures lies below them,
        # or, on a body already freed from its ground, the cameras look below them.
        below = scene.central[rows[height < -tolerance]].sum()
        looks_below = self._floor > 0 and float(scene.focus @ normal) < offset + tolerance
        if below > scene.central[above].sum() or looks_below:
            return None
        sideways = torch.linalg.svd(normal[None], full_matrices=True)[2][1:].T
        return above, sideways, rows[within]

    def carrier(self, body: Int[Tensor, " body"]) -> Int[Tensor, " carrier"]:
        """A body with what it stands on and all that stands there, if that stands on a lower plane: a laid table."""
        none = self.rows[:0]
        if self._plane is None or self._floor > 0:
            return none
        scene, tolerance = self.scene, PLANE_TOLERANCE * self.scene.distance
        normal, offset = self._plane
        below = self.rows[scene.means[self.rows] @ normal - offset < -2 * tolerance]
        lower = find_plane(scene, below)
        if lower is None:
            return none
        above = self.rows[scene.means[self.rows] @ lower[0] - lower[1] > HIGHEST_FOOT * tolerance]
        labels = connected(scene, above)
        on_it = labels[torch.isin(above, body)]
        if len(on_it) == 0:
            return none
        found = above[labels == int(on_it.mode().values)]
        free = float((scene.means[found] - scene.focus).norm(dim=1).max()) < FREE_SHARE * scene.distance
        return found if free else none

    def free_bodies(self) -> list[Standing]:
        """All of them."""
        counts = self._labels.bincount()
        bodies = (self._free(int(label)) for label in (counts >= LEAST_BODY).nonzero()[:, 0])
        return [body for body in bodies if body is not None]

    def on_its_base(self) -> Int[Tensor, " statue"]:
        """The most that stands on a level plane of this body, if the plane reaches around it and yet is no ground: a
        statue on its slab. Nothing where there is no such plane."""
        none = self.rows[:0]
        if self._area == 0 or len(self._above) == 0 or self.free_bodies():
            return none
        statue = self._above[self._labels == int(self._labels.bincount().argmax())]
        shown = float(self.scene.visible[statue].sum() / self.scene.visible[self.rows].sum())
        footprint = self.scene.means[statue] @ self._sideways
        is_one = STATUE[0] < shown < STATUE[1] and _reaches_around(self._ground, footprint)
        return torch.cat([statue, self._foot(statue)]) if is_one else none

    def all_bodies(self) -> list[Standing]:
        """All free bodies, and those on them."""
        found: list[Standing] = []
        for body in self.free_bodies():
            found += [body, *body.all_bodies()]
        return found

    def central_body(self) -> Standing | None:
        """The free body that shows most in the middle of the pictures, freed of all that it stands on."""
        if len(self._above) == 0:
            return None
        body = self._free(most_central(self.scene, self._above, self._labels))
        return body and (body.central_body() or body)

    def _free(self, label: int) -> Standing | None:
        """The body of this number if it is free; looked at once."""
        if label not in self._bodies:
            self._bodies[label] = self._freed(label)
        return self._bodies[label]

    def _freed(self, label: int) -> Standing | None:
        body, scene = self._above[self._labels == label], self.scene
        if len(body) < LEAST_BODY:
            return None
        if self._area > 0:
            footprint = scene.means[body] @ self._sideways
            reach = GROUND_REACH * (ONE_SIDED_REACH if float(scene.towards.norm()) > ONE_SIDED else 1)
            ground = self._ground if float(scene.towards.norm()) <= ONE_SIDED else self._piece_under(footprint)
            free = _area(ground) / max(_area(footprint), 1e-12) >= reach and _reaches_around(ground, footprint)
            body = torch.cat([body, self._foot(body)]) if free else body
        else:
            free = float((scene.means[body] - scene.focus).norm(dim=1).max()) < FREE_SHARE * scene.distance
        return Standing(scene, body, self._floor + 1) if free else None

    def _foot(self, body: Int[Tensor, " body"]) -> Int[Tensor, " foot"]:
        assert self._plane is not None
        low = self.rows[~torch.isin(self.rows, self._above)]
        return foot_of(self.scene, body, low, self._plane, PLANE_TOLERANCE * self.scene.distance)

    def _piece_under(self, footprint: Float[Tensor, "body 2"]) -> Float[Tensor, "ground 2"]:
        """The connected part of the ground that most of what is next to a body belongs to: tops of what stands behind a
        person are as high as its shoulders, and no part of them."""
        reach = 2 * LONGEST_GAP * self.scene.distance
        nearest = KDTree(footprint.double().cpu().numpy()).query(self._ground.double().cpu().numpy())[0]
        next_to_it = torch.from_numpy(np.asarray(nearest) < reach).to(self._ground.device)
        labels = connected(self.scene, self._ground_rows)
        return self._ground[labels == labels[next_to_it].mode().values] if bool(next_to_it.any()) else self._ground


def _reaches_around(ground: Float[Tensor, "ground 2"], footprint: Float[Tensor, "body 2"]) -> bool:
    """Whether a ground goes on beside a body, on three of four sides at least: shoulders do on two."""
    if len(ground) < 3:
        return False
    axes = torch.linalg.svd(ground - ground.mean(dim=0), full_matrices=False)[2]
    sides = 0
    for axis in (*axes, *-axes):
        of_ground, of_body = (_some(points) @ axis for points in (ground, footprint))
        middle = of_body.median()
        sides += bool(of_ground.quantile(0.95) - middle > BESIDE * (of_body.quantile(0.95) - middle))
    return sides >= 3


def _carried(
    scene: SeenScene, rows: Int[Tensor, " rows"], labels: Int[Tensor, " rows"], height: Float[Tensor, " rows"]
) -> Int[Tensor, " rows"]:
    """The numbers of bodies; one in the air has that of the nearest body below it, if that is near: where a thing is
    thin a reconstruction has gaps."""
    large = (labels.bincount() >= LEAST_BODY).nonzero()[:, 0].tolist()
    middles = {label: float(height[labels == label].median()) for label in large}
    drop = LONGEST_DROP * longest_gap(scene.means[rows], scene.distance)
    found = labels.clone()
    for label in sorted(large, key=lambda label: -middles[label]):  # what it stands on may itself be in the air
        body = labels == label
        if float(_some(height[body]).quantile(0.05)) < IN_THE_AIR * PLANE_TOLERANCE * scene.distance:
            continue
        lower = torch.tensor([other for other in large if middles[other] < middles[label]], device=labels.device)
        below = torch.isin(labels, lower).nonzero()[:, 0]
        if len(below) == 0:
            continue
        carriers = KDTree(scene.means[rows[below]].double().cpu().numpy())
        gaps, nearest = map(np.asarray, carriers.query(scene.means[rows[body]].double().cpu().numpy()))
        if float(gaps.min()) < drop:
            found[found == label] = found[below[int(nearest[gaps.argmin()])]]
    return found


def most_central(scene: SeenScene, rows: Int[Tensor, " rows"], labels: Int[Tensor, " rows"]) -> int:
    """The body that shows most in the middle of the pictures."""
    shown = torch.zeros(int(labels.max()) + 1, dtype=torch.float64, device=rows.device)
    return int(shown.index_add_(0, labels, scene.central[rows].double()).argmax())


def find_plane(
    scene: SeenScene,
    rows: Int[Tensor, " rows"],
    facing: Float[Tensor, "3"] | None = None,
    tilt_degrees: float = GROUND_TILT_DEGREES,
    of: float | None = None,
    seed: int = 0,
) -> tuple[Float[Tensor, "3"], float] | None:
    """The most visible plane that faces about a direction, by default up: RANSAC, then least squares on its inliers.

    Its unit normal points there, and points on it have normal @ point = offset. None if no such plane carries a tenth
    of what is seen: of these rows, or of so much visibility.
    """
    facing = scene.up if facing is None else facing
    if len(rows) < 10:
        return None
    generator = torch.Generator().manual_seed(seed)
    points, weights = scene.means[rows], scene.visible[rows]
    # Drawn by visibility, so that counting them is weighing.
    drawn = points[torch.multinomial(weights.cpu(), 6000, replacement=True, generator=generator).to(rows.device)]
    corners = drawn[:1500].reshape(500, 3, 3)
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], dim=1)
    normals = torch.nn.functional.normalize(normals, dim=1)
    normals = normals * torch.sign(normals @ facing)[:, None]
    level = (normals @ facing) > math.cos(math.radians(tilt_degrees))
    if not bool(level.any()):
        return None
    normals, offsets = normals[level], (normals * corners[:, 0]).sum(dim=1)[level]
    tolerance = PLANE_TOLERANCE * scene.distance
    support = ((drawn @ normals.T - offsets).abs() < tolerance).float().mean(dim=0)
    best = int(support.argmax())
    normal, offset = normals[best], float(offsets[best])
    if float(support[best]) * float(weights.sum()) < 0.1 * (float(weights.sum()) if of is None else of):
        return None
    for _ in range(5):
        inliers = (points @ normal - offset).abs() < tolerance
        if int(inliers.sum()) < 3:
            break
        share = weights[inliers] / weights[inliers].sum()
        middle = share @ points[inliers]
        spread = (points[inliers] - middle) * share.sqrt()[:, None]
        normal = torch.linalg.svd(spread, full_matrices=False)[2][2]
        normal = normal * torch.sign(normal @ facing)
        offset = float(normal @ middle)
    # What fits best may have turned away meanwhile.
    return (normal, offset) if float(normal @ facing) > math.cos(math.radians(tilt_degrees)) else None


def _some(points: Float[Tensor, "points *axes"]) -> Float[Tensor, "some *axes"]:
    """So few that quantiles of them cost nothing."""
    return points[:: 1 + len(points) // 100_000]


def _area(points: Float[Tensor, "points 2"]) -> float:
    """Of the ellipse of inertia, up to a factor: outliers matter less than in a convex hull."""
    centered = (points - points.mean(dim=0)).double()
    return math.sqrt(max(0.0, float(torch.det(centered.T @ centered / max(1, len(points))))))

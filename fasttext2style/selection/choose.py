"""Which Gaussians are the object: text, clicks, masks, a shape, a colour, a file, an earlier run; or automatically."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection import algebra
from fasttext2style.selection.choice import Click, ObjectChoice, SelectionSettings, check_view
from fasttext2style.selection.picking import Picked, pick
from fasttext2style.selection.selection import Selection
from fasttext2style.trust.typed import expanded


def choose(
    choice: ObjectChoice,
    scene: Gaussians,
    cameras: Cameras,
    masks: Tensor | None,
    previous: Tensor,
    masks_are_ours: bool,
) -> Selection:
    """The object of a scene; see `choose_among`."""
    return choose_among(choice, scene, cameras, masks, previous, masks_are_ours)[0]


def choose_among(
    choice: ObjectChoice,
    scene: Gaussians,
    cameras: Cameras,
    masks: Tensor | None,
    previous: Tensor,
    masks_are_ours: bool,
) -> tuple[Selection, list[Selection]]:
    """The object of a scene, and the candidates among which it was found automatically (none if it was named).

    Args:
        choice: what is asked for.
        scene: all Gaussians.
        cameras: training views.
        masks: [views, height, width] object masks, or None.
        previous: [gaussians] weights that came with the loaded run; all ones when there were none.
        masks_are_ours: the masks were given for this purpose.

    Raises:
        ValueError: what was asked for is not there, or selects nothing.
    """
    choice.check()
    named = _named(choice, scene, cameras, masks)
    if named is not None:
        return named, []
    if choice.kind == "auto" and masks is not None and masks_are_ours:
        return _lifted(scene, cameras, masks), []
    if choice.kind == "auto" and not bool((previous == 1).all()):
        return Selection(previous, "the object of the loaded run").for_scene(scene), []
    from fasttext2style.selection.automatic import candidates, no_candidate

    found = candidates(scene, cameras)
    number = 1 if choice.kind == "auto" else int(choice.kind)
    if number > len(found):
        raise ValueError(no_candidate(number, len(found)))
    return found[number - 1], found


def _named(choice: ObjectChoice, scene: Gaussians, cameras: Cameras, masks: Tensor | None) -> Selection | None:
    """What the options say the object is; None if it is to be found."""
    match choice.kind:
        case "file":
            assert choice.file is not None, "checked"
            return loaded(choice.file, scene, "--object-file")
        case "everything":
            return Selection.everything(len(scene)).for_scene(scene)
        case "text":
            return _by_text(choice, scene, cameras)
        case "clicks" | "color":
            return _by_points(choice, scene, cameras)
        case "rectangle":
            return _by_rectangle(choice, scene, cameras)
        case "box":
            from fasttext2style.selection.shapes import select_box

            return select_box(scene, choice.center, choice.size, _yaw(choice.yaw_degrees))
        case "sphere":
            from fasttext2style.selection.shapes import select_sphere

            return select_sphere(scene, choice.center, choice.radius)
        case "masks":
            return _lifted(scene, cameras, masks)
    return None


def changed(settings: SelectionSettings, scene: Gaussians, selection: Selection) -> Selection:
    """A selection after all that the settings ask for, in the order of their names in the help."""
    if settings.threshold is not None:
        selection = algebra.thresholded(selection, settings.threshold)
    if settings.combine is not None and settings.existing is not None:
        existing = loaded(settings.existing, scene, "--existing")
        combine = {"union": algebra.union, "minus": algebra.minus, "intersect": algebra.intersect}[settings.combine]
        selection = combine(existing, selection)
    if settings.keep_largest:
        selection = algebra.largest_component(scene, selection)
    if settings.grow:
        selection = algebra.grow(scene, selection, settings.grow)
    if settings.shrink:
        selection = algebra.shrink(scene, selection, settings.shrink)
    if settings.invert:
        selection = algebra.invert(selection)
    return algebra.feather(scene, selection, settings.feather) if settings.feather else selection


def loaded(path: Path, scene: Gaussians, option: str) -> Selection:
    """The selection in a file that an option names.

    Raises:
        ValueError: no such file, or it holds no selection of this scene.
    """
    path = expanded(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ValueError(f"{option} {path} {what}; expected a .npy or .npz of {len(scene):,} weights.")
    selection = Selection.load(path)
    selection.check_matches(scene)
    return selection


def _by_text(choice: ObjectChoice, scene: Gaussians, cameras: Cameras) -> Selection:
    from fasttext2style.selection.segmenters.load import load_segmenter
    from fasttext2style.selection.text import select_by_text

    return select_by_text(scene, cameras, load_segmenter(choice.segmenter, scene.device), choice.text)


def _by_points(choice: ObjectChoice, scene: Gaussians, cameras: Cameras) -> Selection:
    from fasttext2style.selection.clicks import TOLERANCE, ClickSelector
    from fasttext2style.selection.colors import select_color

    on = [_picked(scene, cameras, click) for click in choice.click]
    if choice.kind == "color":
        return select_color(scene, on[0].color, choice.tolerance or 0.1)
    beside = [_picked(scene, cameras, click).position for click in choice.not_click]
    negative = torch.stack(beside) if beside else None
    positive = torch.stack([picked.position for picked in on])
    return ClickSelector(scene, cameras).select(positive, negative, choice.tolerance or TOLERANCE)


def _by_rectangle(choice: ObjectChoice, scene: Gaussians, cameras: Cameras) -> Selection:
    from fasttext2style.selection.rectangle import select_rectangle

    assert choice.rectangle is not None, "checked"
    view, *corners = choice.rectangle
    x0, y0, x1, y1 = corners
    return select_rectangle(scene, _view(cameras, view), (x0, y0, x1, y1))


def _view(cameras: Cameras, number: int) -> Cameras:
    check_view(number, len(cameras))
    return cameras[number]


def _picked(scene: Gaussians, cameras: Cameras, click: Click) -> Picked:
    view, x, y = click
    try:
        return pick(scene, _view(cameras, view), x, y)
    except ValueError as error:
        raise ValueError(f"Click {view} {x:g} {y:g}: {error}") from error


def _lifted(scene: Gaussians, cameras: Cameras, masks: Tensor | None) -> Selection:
    if masks is None:
        raise ValueError(
            "--object masks: the capture has no masks. Give --pipeline.datamanager.object-masks a folder of pictures "
            "named like the photographs (white is the object), or mask_path in transforms.json."
        )
    from fasttext2style.selection.lifting import lift_masks

    return lift_masks(scene, cameras, masks)


def _yaw(degrees: float) -> Tensor:
    angle = torch.deg2rad(torch.tensor(float(degrees)))
    cos, sin = float(angle.cos()), float(angle.sin())
    return torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])

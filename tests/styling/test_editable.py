"""The object as parameters of its own: what comes in goes out, and what is outside keeps every bit."""

import pytest
import torch

from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject


def _scene(count: int = 12, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    return Gaussians(
        *(torch.randn(count, *shape, generator=generator) for shape in ((3,), (4,), (3,), (), (3,), (3, 3)))
    )


def _selection(count: int = 12) -> Selection:
    weights = torch.zeros(count)
    weights[[1, 4, 7]] = torch.tensor([1.0, 0.3, 1.0])
    return Selection(weights, "test")


def _all_equal(a: Gaussians, b: Gaussians) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.to_splatfacto().values(), b.to_splatfacto().values()))


def test_an_object_that_did_not_change_gives_the_scene_back():
    scene = _scene()
    assert _all_equal(EditableObject(scene, _selection()).merged(), scene)


def test_only_selected_rows_change():
    scene, selection = _scene(), _selection()
    edit = EditableObject(scene, selection)
    for parameter in edit.parameters.values():
        parameter.data += 1.0
    merged = edit.merged()
    keep = ~selection.mask
    assert _all_equal(merged.subset(keep), scene.subset(keep))
    assert torch.equal(merged.means[selection.mask], scene.means[selection.mask] + 1.0)
    assert torch.equal(edit.merged_weights(), selection.weights)


def test_the_scene_before_is_kept_when_the_host_overwrites_its_own():
    scene = _scene()
    edit = EditableObject(scene, _selection())
    before = scene.means.clone()
    scene.means.add_(1.0)
    assert torch.equal(edit.scene.means, before)


def test_without_a_copy_only_the_objects_rows_are_copied():
    scene, selection = _scene(), _selection()
    edit = EditableObject(scene, selection, copy_scene=False)
    assert edit.scene.means.data_ptr() == scene.means.data_ptr()
    before = scene.subset(selection.mask)
    scene.means[edit.rows] += 1.0
    assert _all_equal(edit.original, before)
    assert torch.equal(edit.merged().means[edit.rows], before.means)


def test_frozen_groups_get_no_gradient():
    edit = EditableObject(_scene(), _selection())
    now = edit.gaussians(("features_dc",))
    (now.sh_dc.sum() + now.means.sum() + now.logit_opacities.sum()).backward()
    assert edit.parameters["features_dc"].grad is not None
    assert edit.parameters["means"].grad is None
    assert edit.parameters["opacities"].grad is None


def test_a_grown_object_comes_after_what_is_outside():
    scene, selection = _scene(), _selection()
    edit = EditableObject(scene, selection)
    for name, parameter in edit.parameters.items():
        edit.parameters[name] = torch.nn.Parameter(torch.cat([parameter.data, parameter.data[:1]]))
    edit.mark_grown(torch.tensor([1.0, 0.3, 1.0, 1.0]))
    merged = edit.merged()
    assert len(merged) == 13
    assert _all_equal(merged.subset(torch.arange(9)), scene.subset(~selection.mask))
    assert torch.equal(edit.merged_weights(), torch.tensor([0.0] * 9 + [1.0, 0.3, 1.0, 1.0]))


def test_growth_needs_a_weight_for_each_gaussian():
    edit = EditableObject(_scene(), _selection())
    with pytest.raises(ValueError, match="3 Gaussians now, got 2"):
        edit.mark_grown(torch.ones(2))


def test_a_selection_of_another_scene_is_refused():
    with pytest.raises(ValueError, match="12 weights but the scene has 13"):
        EditableObject(_scene(13), _selection(12))


def test_an_empty_selection_is_refused():
    with pytest.raises(ValueError, match="Nothing is selected"):
        EditableObject(_scene(), Selection(torch.zeros(12), "nothing"))

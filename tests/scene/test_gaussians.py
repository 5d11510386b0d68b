"""The scene bundle: activations, subsets, splatfacto's names, and what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scene import FIELDS, as_users_run_it, assert_equal, random_gaussians

from fasttext2style.scene.gaussians import Gaussians


def test_activations_are_those_of_3dgs():
    gaussians = Gaussians(
        *(torch.zeros(1, size) for size in (3, 4)),
        log_scales=torch.tensor([[0.0, 1.0, -1.0]]),
        logit_opacities=torch.tensor([0.0]),
        sh_dc=torch.ones(1, 3),
        sh_rest=torch.zeros(1, 3, 3),
    )
    torch.testing.assert_close(gaussians.scales, torch.tensor([[1.0, 2.7182817, 0.3678794]]))
    assert gaussians.opacities.item() == 0.5
    assert gaussians.sh_degree == 1
    torch.testing.assert_close(gaussians.sh[0, :, 0], torch.tensor([1.0, 0, 0, 0]))


@given(count=st.integers(1, 20), degree=st.integers(0, 3), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_mask_and_its_complement_make_the_whole(count, degree, seed, data):
    gaussians = random_gaussians(count, degree, seed)
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    parts = Gaussians.concatenated([gaussians.subset(mask), gaussians.subset(~mask)])
    order = torch.cat([mask.nonzero()[:, 0], (~mask).nonzero()[:, 0]])
    assert_equal(parts, gaussians.subset(order))
    assert len(gaussians.subset(mask)) == int(mask.sum())


def test_joining_scenes_of_different_degree_changes_no_colour():
    joined = Gaussians.concatenated([random_gaussians(2, degree=0), random_gaussians(3, degree=2)])
    assert joined.sh_degree == 2
    assert not joined.sh_rest[:2].any()
    assert torch.equal(joined.sh_rest[2:], random_gaussians(3, degree=2).sh_rest)
    assert_equal(joined.subset(torch.arange(2)).with_sh_degree(0), random_gaussians(2, degree=0))


@pytest.mark.parametrize("prefix", ["", "_model.", "_model.gauss_params.", "module._model.gauss_params."])
@pytest.mark.parametrize("degree", [0, 3])
def test_splatfacto_names_round_trip_under_any_prefix(prefix, degree):
    gaussians = random_gaussians(degree=degree)
    tensors = {prefix + name: tensor for name, tensor in gaussians.to_splatfacto().items()}
    tensors |= {
        "_model.lpips.means_of_nothing": torch.ones(1),
        "_model.camera_optimizer.pose_adjustment": torch.ones(2),
    }
    assert tensors[prefix + "opacities"].shape == (7, 1)
    assert_equal(Gaussians.from_splatfacto(tensors), gaussians)


def test_state_dicts_that_are_none_say_what_is_missing():
    tensors = random_gaussians().to_splatfacto()
    with pytest.raises(ValueError, match=r"got 2 entries .*checkpoint\['pipeline'\]"):
        Gaussians.from_splatfacto({"step": torch.ones(1), "pipeline": torch.ones(1)})
    incomplete = {"m." + name: tensor for name, tensor in tensors.items() if name not in ("quats", "opacities")}
    with pytest.raises(ValueError, match=r"beside m\.means, quats, opacities are missing"):
        Gaussians.from_splatfacto(incomplete)
    with pytest.raises(ValueError, match="Found 2 sets of Gaussians"):
        Gaussians.from_splatfacto(tensors | {"ema." + name: tensor for name, tensor in tensors.items()})


def test_a_diverged_checkpoint_is_refused_with_counts():
    tensors = random_gaussians().to_splatfacto()
    tensors["means"] = tensors["means"].clone()
    tensors["means"][2:4, 1] = float("nan")
    tensors["opacities"][0] = float("inf")
    with pytest.raises(ValueError, match="means: 2, logit_opacities: 1 of 7 Gaussians"):
        Gaussians.from_splatfacto(tensors)


@pytest.mark.parametrize(
    ("field", "shape", "message"),
    [
        ("quats", (7, 3), r"quats should be \[7, 4\] for 7 Gaussians, got \[7, 3\]"),
        ("logit_opacities", (7, 1), r"logit_opacities should be \[7\] for 7 Gaussians, got \[7, 1\]"),
        ("sh_dc", (6, 3), r"sh_dc should be \[7, 3\] for 7 Gaussians, got \[6, 3\]"),
        ("sh_rest", (7, 9), r"sh_rest should be \[7, 0, 3\] for 7 Gaussians, got \[7, 9\]"),
        ("sh_rest", (7, 5, 3), "0, 3, 8 or 15 coefficients .*got 5"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_expected_and_got(field, shape, message):
    tensors = {name: getattr(random_gaussians(), name) for name in FIELDS}
    with as_users_run_it(), pytest.raises(ValueError, match=message):
        Gaussians(**tensors | {field: torch.zeros(shape)})


def test_a_mask_of_another_scene_is_refused():
    with pytest.raises(ValueError, match="mask for 7 Gaussians has as many entries, got 8"):
        random_gaussians().subset(torch.ones(8, dtype=torch.bool))


def test_detach_keeps_values_and_drops_the_graph():
    gaussians = random_gaussians()
    learnable = Gaussians(*(getattr(gaussians, field).clone().requires_grad_() for field in FIELDS))
    assert learnable.sh.requires_grad
    assert not learnable.detach().sh.requires_grad
    assert_equal(learnable.detach().to("cpu"), gaussians)
    assert gaussians.device.type == "cpu"


def test_gaussians_cannot_be_changed_by_assignment():
    with pytest.raises(AttributeError):
        random_gaussians().means = torch.zeros(7, 3)

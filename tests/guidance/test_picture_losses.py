"""What a style picture costs: the formulas by plain loops, and what plays no part in them."""

import numpy as np
import pytest
import torch
import torchvision

from fasttext2style.guidance.feature_maps import EncoderMaps, load_feature_maps
from fasttext2style.guidance.load import load_encoder
from fasttext2style.guidance.picture_losses import gram, gram_distance, matching, places_of
from fasttext2style.guidance.picture_objective import PictureObjective, PictureStyleConfig, color_moments, squares_of


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("tiny")


def rows(count: int, channels: int = 5) -> torch.Tensor:
    return torch.randn(count, channels)


def checks(side: int = 64) -> torch.Tensor:
    """Red and blue squares of eight pixels, opaque."""
    places = torch.arange(side) // 8
    red = ((places[:, None] + places[None]) % 2).float()
    return torch.stack([red, torch.zeros_like(red), 1 - red, torch.ones_like(red)], -1)


def test_matching_agrees_with_a_loop_over_places():
    features, weights, style = rows(12), torch.rand(12), rows(7)
    expected = total = 0.0
    for row, weight in zip(features.double().numpy(), weights.double().numpy()):
        cosines = [row @ it / np.linalg.norm(row) / np.linalg.norm(it) for it in style.double().numpy()]
        expected, total = expected + weight * (1 - max(cosines)), total + weight
    assert matching(features, weights, style).item() == pytest.approx(expected / total, rel=1e-5)


def test_what_is_found_in_the_picture_costs_nothing_wherever_it_stands_and_however_strong():
    style = rows(9)
    found = 3 * style[torch.tensor([8, 0, 3, 3])]
    assert matching(found, torch.ones(4), style).item() == pytest.approx(0, abs=1e-6)
    assert matching(torch.eye(5)[:1], torch.ones(1), torch.eye(5)[1:]).item() == pytest.approx(1)


def test_matching_pulls_each_place_towards_the_nearest_place_of_the_picture():
    features = torch.tensor([[1.0, 0.2]], requires_grad=True)
    matching(features, torch.ones(1), torch.eye(2)).backward()
    assert features.grad is not None
    assert features.grad[0, 0] < 0 < features.grad[0, 1]  # down the gradient, towards (1, 0)


def test_gram_agrees_with_a_loop_and_forgets_the_order():
    features, weights = rows(11), torch.rand(11)
    expected = sum(w * np.outer(row, row) for row, w in zip(features.double().numpy(), weights.double().numpy()))
    expected = expected / weights.double().sum().item()
    np.testing.assert_allclose(gram(features, weights).numpy(), expected, rtol=1e-4, atol=1e-6)
    order = torch.randperm(11)
    torch.testing.assert_close(gram(features[order], weights[order]), gram(features, weights))


def test_gram_distance_is_0_for_the_same_and_1_for_nothing():
    style = gram(rows(20), torch.ones(20))
    assert gram_distance(style, style).item() == 0
    assert gram_distance(torch.zeros_like(style), style).item() == pytest.approx(1)


def test_places_count_by_how_much_of_the_object_they_show():
    alphas = torch.zeros(1, 8, 8, 1)
    alphas[:, :4], alphas[:, 4:6] = 1, 0.5
    features, shown = places_of(torch.arange(16.0).reshape(1, 1, 4, 4), alphas)
    assert features[:, 0].tolist() == list(range(16))
    assert shown.reshape(4, 4)[:, 0].tolist() == [1, 1, 0.5, 0]


@pytest.mark.parametrize("loss", ["matching+gram", "matching", "gram"])
def test_the_picture_itself_costs_nearly_nothing_and_a_plain_grey_a_lot(encoder, loss):
    objective = PictureObjective(PictureStyleConfig(loss=loss, size=64), EncoderMaps(encoder), checks())
    images, alphas = checks()[None, ..., :3], torch.ones(1, 64, 64, 1)
    grey = torch.full_like(images, 0.5)
    same, other = (objective(it, alphas, grey)["picture"].item() for it in (images, grey))
    assert same < 1e-5 and other > 20 * same + 0.01


@pytest.mark.parametrize("loss", ["matching+gram", "matching", "gram"])
def test_an_object_that_nobody_sees_costs_nothing_and_is_no_nan(encoder, loss):
    objective = PictureObjective(PictureStyleConfig(loss=loss, size=64), EncoderMaps(encoder), checks())
    images = torch.zeros(1, 64, 64, 3, requires_grad=True)
    losses = objective(images, torch.zeros(1, 64, 64, 1), torch.zeros(1, 64, 64, 3))
    torch.stack(list(losses.values())).sum().backward()
    assert images.grad is not None and bool(torch.isfinite(images.grad).all())


def test_what_is_transparent_is_no_style(encoder):
    """Green under the transparent half changes neither colours nor features."""
    half, green = checks(), checks()
    half[:, 32:, 3] = green[:, 32:, 3] = 0
    green[:, 32:, :3] = torch.tensor([0.0, 1.0, 0.0])
    one, other = (PictureObjective(PictureStyleConfig(), EncoderMaps(encoder), it) for it in (half, green))
    torch.testing.assert_close(one.mean, torch.tensor([0.5, 0.0, 0.5]))
    assert torch.equal(one.mean, other.mean) and torch.equal(one.squares, other.squares)
    # There stands the mean colour, which has no edges of its own.
    torch.testing.assert_close(one.squares[0, :, 80:], one.mean.expand(128, 48, 3))
    # And nothing is found there: a plain image of it is as far from the picture as from one without such a part.
    plain, shown = one.mean.expand(1, 128, 128, 3), torch.ones(1, 128, 128, 1)
    config = PictureStyleConfig(loss="matching")
    costs = [
        PictureObjective(config, EncoderMaps(encoder), it)(plain, shown, plain)["picture"] for it in (half, checks())
    ]
    assert costs[0] > 0.5 * costs[1] > 0.001
    with pytest.raises(ValueError, match="wholly transparent"):
        PictureObjective(PictureStyleConfig(), EncoderMaps(encoder), torch.zeros(4, 4, 4))


@pytest.mark.parametrize(
    ("height", "width", "squares"), [(1, 1, 1), (40, 40, 1), (40, 41, 2), (100, 40, 3), (2, 900, 4)]
)
def test_pictures_of_any_shape_become_squares_that_reach_from_end_to_end(height, width, squares):
    picture = torch.ones(height, width, 4)
    picture[-1, -1, :3] = 0
    made = squares_of(picture, 32)
    assert made.shape == (squares, 32, 32, 4)
    corner = made[-1, -1, -1, :3].mean()
    assert corner < made[0, 0, 0, :3].mean() or height == width == 1


def test_a_smaller_scale_makes_the_pattern_finer(encoder):
    sides = [
        PictureObjective(PictureStyleConfig(scale=scale, size=64), EncoderMaps(encoder), checks()).squares.shape[1]
        for scale in (0.5, 1.0, 2.0)
    ]
    assert sides == [32, 64, 128]


def test_moments_agree_with_numpy():
    colors, weights = torch.rand(50, 3), torch.rand(50)
    mean, covariance = color_moments(colors, weights)
    np.testing.assert_allclose(mean, np.average(colors, axis=0, weights=weights), rtol=1e-5)
    np.testing.assert_allclose(covariance, np.cov(colors.T, aweights=weights, ddof=0), rtol=1e-4)


# --- networks -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Random weights of both networks, as torchvision names them."""
    folder = tmp_path_factory.mktemp("networks") / "checkpoints"
    folder.mkdir()
    vgg = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    squeezenet = torchvision.models.squeezenet1_1().features
    paths = {}
    for name, network in (("vgg16-397923af.pth", vgg), ("squeezenet1_1-b8a52dc0.pth", squeezenet)):
        paths[name] = folder / name
        torch.save({f"features.{key}": value for key, value in network.state_dict().items()}, paths[name])
    return {"vgg": (vgg, paths["vgg16-397923af.pth"]), "squeezenet": (squeezenet, paths["squeezenet1_1-b8a52dc0.pth"])}


@pytest.mark.parametrize(("name", "taps"), [("vgg", (3, 8, 15)), ("squeezenet", (1, 4, 7))])
def test_maps_are_those_of_torchvisions_network_whichever_the_file_holds(files, encoder, name, taps):
    network, path = files[name]
    maps = load_feature_maps(encoder, str(path))
    images = torch.rand(1, 48, 48, 3, requires_grad=True)
    normalize = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    now = maps(images)
    for found, tap in zip(now, taps, strict=True):
        torch.testing.assert_close(found, network[: tap + 1](normalize(images.permute(0, 3, 1, 2))))
    now[-1].sum().backward()
    assert images.grad is not None and images.grad.abs().max() > 0


def test_vgg16_is_taken_from_torchs_cache_else_squeezenet_else_the_encoder(files, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("asked the network"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(files["vgg"][1].parents[1]))
    assert load_feature_maps(encoder).name.startswith("VGG16")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "squeezenet1_1-b8a52dc0.pth").symlink_to(files["squeezenet"][1])
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert load_feature_maps(encoder).name.startswith("SqueezeNet")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "nothing"))
    assert load_feature_maps(encoder).name == "encoder tiny"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(files["vgg"][1].parents[1]))
    assert load_feature_maps(encoder, "encoder").name == "encoder tiny"


def test_other_files_are_refused_in_words(encoder, tmp_path):
    with pytest.raises(ValueError, match=r"no file .*nothing\.pth"):
        load_feature_maps(encoder, str(tmp_path / "nothing.pth"))
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="holds another network"):
        load_feature_maps(encoder, str(tmp_path / "other.pth"))
    torch.save({"features.2.weight": torch.zeros(2)}, tmp_path / "cut.pth")
    with pytest.raises(ValueError, match="not those of VGG16"):
        load_feature_maps(encoder, str(tmp_path / "cut.pth"))
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ValueError, match="cannot be read as weights of a feature network"):
        load_feature_maps(encoder, str(tmp_path / "text.pth"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weight": -1.0}, "picture.weight"),
        ({"weight": float("nan")}, "picture.weight"),
        ({"content_weight": float("inf")}, "picture.content_weight"),
        ({"color_transfer": 1.5}, "between 0 and 1"),
        ({"scale": 0.0}, "picture.scale"),
        ({"size": 16}, "picture.size"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        PictureStyleConfig(**settings).check()

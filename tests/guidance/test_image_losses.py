"""Content losses are 0 for equal images, agree with the networks they claim to be, and say what to do without them."""

import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision

from fasttext2style.guidance.image_losses import load_content_loss, structure, trunk_distance
from fasttext2style.guidance.weights import reachable


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory):
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    layers = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    torch.save({f"features.{key}": value for key, value in layers.state_dict().items()}, path)
    return str(path)


def pattern(side: int = 48) -> torch.Tensor:
    places = torch.arange(side) / side
    waves = 0.5 + 0.3 * torch.sin(20 * places[:, None] + 9 * places[None] ** 2)
    return waves[None, :, :, None].expand(2, -1, -1, 3).contiguous()


def test_structure_is_free_of_colour_contrast_and_sign():
    image = pattern()
    tinted = image * torch.tensor([1.0, 0.6, 0.3])
    assert structure(image, image).item() == pytest.approx(0, abs=1e-5)
    assert structure(tinted, image) < 0.02
    assert structure(1 - image, image) < 0.01


def test_structure_costs_1_when_all_edges_are_gone():
    image = pattern()
    assert structure(torch.full_like(image, 0.4), image).item() == pytest.approx(1)


def test_structure_notices_turned_edges_and_forgives_new_texture_on_smooth_ground():
    smooth = torch.full((1, 48, 48, 3), 0.5)
    stripes = pattern()[:, :, :1].expand(-1, -1, 48, -1)
    assert structure(stripes.transpose(1, 2), stripes) > 0.9
    assert structure(smooth + 0.1 * torch.randn_like(smooth), smooth) == 0


@pytest.mark.parametrize("degrees", [0, 30, 90])
def test_structure_of_a_turned_ramp_is_the_squared_sine_of_the_turn(degrees):
    places = torch.arange(48) / 50
    angle = math.radians(degrees)
    ramp = places[None].expand(48, 48)
    turned = math.cos(angle) * places[None] + math.sin(angle) * places[:, None]
    images, originals = (batch[None, :, :, None].expand(-1, -1, -1, 3) for batch in (turned, ramp))
    assert structure(images, originals).item() == pytest.approx(math.sin(angle) ** 2, abs=1e-3)


def test_structure_agrees_with_a_loop_over_pixels_of_three_sizes():
    images, originals = torch.rand(1, 24, 20, 3), torch.rand(1, 24, 20, 3)
    expected = 0.0
    for size in (1, 2, 4):
        now, before = (
            (batch[0].double().numpy() @ [0.299, 0.587, 0.114]).reshape(24 // size, size, 20 // size, size).mean((1, 3))
            for batch in (images, originals)
        )
        lost, edges = 0.0, 0.0
        for y in range(1, 24 // size - 1):
            for x in range(1, 20 // size - 1):
                way, old_way = (
                    np.array([grey[y, x + 1] - grey[y, x - 1], grey[y + 1, x] - grey[y - 1, x]]) / 2
                    for grey in (now, before)
                )
                weight = np.linalg.norm(old_way)
                kept = (way @ old_way) ** 2 / ((way @ way + 1e-4) * (old_way @ old_way + 1e-4))
                best = (old_way @ old_way) ** 2 / (old_way @ old_way + 1e-4) ** 2
                lost += weight * max(best - kept, 0)
                edges += weight * best
        expected += lost / edges / 3
    assert structure(images, originals).item() == pytest.approx(expected, rel=1e-4)


def test_structure_has_finite_gradients_everywhere():
    image = torch.zeros(1, 32, 32, 3)
    image[:, 8:24, 8:24] = 0.5
    changed = image.clone().requires_grad_()
    structure(changed, image).backward()
    assert torch.isfinite(changed.grad).all()


def test_trunk_distance_agrees_with_a_loop_over_places(small_encoder):
    images, originals = torch.rand(2, 32, 32, 3), torch.rand(2, 32, 32, 3)
    expected = 0.0
    for now, before in zip(small_encoder.image_features(images), small_encoder.image_features(originals)):
        now, before = (features.permute(0, 2, 3, 1).flatten(0, 2).double() for features in (now, before))
        expected += sum(float(2 - 2 * F.cosine_similarity(a, b, dim=0)) for a, b in zip(now, before)) / len(now) / 2
    assert trunk_distance(small_encoder, images, originals).item() == pytest.approx(expected, rel=1e-4)
    loss = load_content_loss("trunk", small_encoder)
    assert loss(images, images).item() == pytest.approx(0, abs=1e-6)


def test_vgg_is_features_16_of_torchvisions_network(vgg_file, small_encoder):
    loss = load_content_loss("vgg", small_encoder, vgg_file)
    images, originals = torch.rand(1, 40, 40, 3, requires_grad=True), torch.rand(1, 40, 40, 3)
    network = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    network.load_state_dict({key.removeprefix("features."): value for key, value in torch.load(vgg_file).items()})
    normalize = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    now, before = (network[:16](normalize(batch.permute(0, 3, 1, 2))) for batch in (images, originals))
    torch.testing.assert_close(loss(images, originals), F.mse_loss(now, before))
    loss(images, originals).backward()
    assert images.grad.abs().max() > 0


def test_lpips_agrees_with_its_definition(shared_data, small_encoder):
    """Zhang et al. 2018, equation 1, over torchvision's own SqueezeNet and the package's linear weights."""
    import lpips

    path = shared_data / "weights" / "squeezenet1_1_fp16.pth"
    loss = load_content_loss("lpips", small_encoder, str(path))
    images, originals = torch.rand(2, 64, 64, 3, requires_grad=True), torch.rand(2, 64, 64, 3)

    network = torchvision.models.squeezenet1_1()
    network.load_state_dict({key: value.float() for key, value in torch.load(path).items()})
    with pytest.warns(UserWarning, match=r"deprecated since 0\.13"):  # lpips calls torchvision by its old names
        linear = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False).eval()
    normalize = torchvision.transforms.Normalize(
        [(1 - 0.030) / 2, (1 - 0.088) / 2, (1 - 0.188) / 2], [0.458 / 2, 0.448 / 2, 0.450 / 2]
    )
    now, before = (normalize(batch.permute(0, 3, 1, 2)) for batch in (images, originals))
    expected, taps = 0.0, iter(linear.lins)
    for index, layer in enumerate(network.features):
        now, before = layer(now), layer(before)
        if index in (1, 4, 7, 9, 10, 11, 12):
            difference = (F.normalize(now, dim=1) - F.normalize(before, dim=1)) ** 2
            expected = expected + next(taps).model(difference).mean()
    torch.testing.assert_close(loss(images, originals), expected, rtol=1e-4, atol=1e-5)
    loss(images, originals).backward()
    assert images.grad.abs().max() > 0


def test_weights_of_another_network_are_refused(vgg_file, small_encoder, tmp_path):
    with pytest.raises(ValueError, match=r"not those of SqueezeNet 1\.1"):
        load_content_loss("lpips", small_encoder, vgg_file)
    with pytest.raises(ValueError, match=r"There is no file .*nothing\.pth"):
        load_content_loss("vgg", small_encoder, str(tmp_path / "nothing.pth"))
    for damaged in (b"no weights", b""):
        (tmp_path / "damaged.pth").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"damaged.pth cannot be read as weights for content 'vgg'"):
            load_content_loss("vgg", small_encoder, str(tmp_path / "damaged.pth"))
    torch.save({"features.0.weight": "none"}, tmp_path / "damaged.pth")
    with pytest.raises(ValueError, match=r"damaged.pth holds no weights"):
        load_content_loss("vgg", small_encoder, str(tmp_path / "damaged.pth"))


def test_without_a_network_one_quick_error_names_the_ways_out(monkeypatch, small_encoder, tmp_path):
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("fasttext2style.guidance.image_losses.reachable", lambda url: reachable("http://127.0.0.1:9"))
    started = time.perf_counter()
    with pytest.raises(ValueError, match=r"content-weights.*'structure'"):
        load_content_loss("vgg", small_encoder)
    assert time.perf_counter() - started < 3


def test_weights_in_torchs_cache_are_found(monkeypatch, small_encoder, vgg_file, tmp_path):
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "vgg16-397923af.pth").write_bytes(Path(vgg_file).read_bytes())
    images = torch.rand(1, 32, 32, 3)
    assert load_content_loss("vgg", small_encoder)(images, images) == 0


def test_an_unknown_content_loss_is_refused(small_encoder):
    with pytest.raises(Exception, match=r"(?i)no content loss|type|literal"):
        load_content_loss("style", small_encoder)


def test_reachable_needs_a_yes_in_time(monkeypatch):
    import http.server
    import threading

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            if self.path == "/slow":
                time.sleep(0.6)
            self.send_response(403 if self.path == "/refused" else 200)
            self.end_headers()

        def log_message(self, *_):
            return

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    assert reachable(f"{address}/file")
    assert not reachable(f"{address}/refused"), "a proxy's refusal is no file"
    assert not reachable(f"{address}/slow", seconds=0.2)
    server.shutdown()
    server.server_close()
    assert not reachable(f"{address}/file")
    assert not reachable("")

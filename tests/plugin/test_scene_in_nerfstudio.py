"""Our scene and toy capture against nerfstudio's own: its model, its data parser."""

import pytest
import torch
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.models import splatfacto

from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.toy import geometry as toy_geometry
from fasttext2style.toy.scene import WORLD_OPTIONS, toy_scene, write_dataset


@pytest.fixture(scope="module")
def scene():
    return toy_scene(width=96, height=80)


@pytest.fixture(scope="module")
def dataset(scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    write_dataset(scene, folder)
    return folder


def nerfstudios_splatfacto(sh_degree, seed_points=None):
    """A new model of nerfstudio's own."""
    config = splatfacto.SplatfactoModelConfig(num_random=20, random_init=seed_points is None, sh_degree=sh_degree)
    model = object.__new__(splatfacto.SplatfactoModel)
    torch.nn.Module.__init__(model)
    model.config, model.seed_points = config, seed_points
    model.device_indicator_param = torch.nn.Parameter(torch.empty(0))
    model.scene_box = SceneBox(aabb=torch.tensor([[-1.0] * 3, [1.0] * 3]))
    model.num_train_data, model.kwargs = 1, {}
    with pytest.MonkeyPatch.context() as patch:
        # The constructor of LPIPS fetches weights from the net; it is not what is tested.
        patch.setattr("torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity", lambda **_: torch.nn.Identity())
        model.populate_modules()
    return model


def test_gaussians_are_the_tensors_of_nerfstudios_own_splatfacto():
    """Names and shapes, not only our own dictionary read back."""
    model = nerfstudios_splatfacto(sh_degree=2)
    gaussians = Gaussians.from_checkpoint(model.state_dict())
    assert len(gaussians) == 20
    assert gaussians.sh_degree == 2
    assert torch.equal(gaussians.opacities[:, None], torch.sigmoid(model.opacities))
    assert torch.equal(gaussians.sh[:, 0], model.features_dc)
    for name, tensor in gaussians.to_splatfacto().items():
        assert tensor.shape == model.gauss_params[name].shape


def test_colours_of_splatfacto_without_view_dependence(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "cuda", lambda tensor: tensor)  # splatfacto moves its points there
    colors = torch.randint(1, 255, (20, 3), generator=torch.Generator().manual_seed(0)).float()
    model = nerfstudios_splatfacto(0, seed_points=(torch.rand(20, 3), colors))
    gaussians = Gaussians.from_checkpoint({f"_model.{name}": value for name, value in model.state_dict().items()})
    torch.testing.assert_close(0.5 + SH_C0 * gaussians.sh_dc, colors / 255, rtol=0, atol=1e-6)
    torch.testing.assert_close(gaussians.sh_dc, model.shs_0, rtol=0, atol=1e-6)


def dataparser(folder, **changes):
    return NerfstudioDataParserConfig(data=folder, load_3D_points=True, **changes).setup()


@pytest.fixture()
def open3d():
    """nerfstudio's own parser loads it, and that these libraries of the system."""
    return pytest.importorskip("open3d", reason="apt-get install libgl1 libusb-1.0-0 libx11-6", exc_type=ImportError)


def test_nerfstudio_reads_the_dataset_in_world_coordinates(open3d, dataset, scene):
    options = dict(zip(WORLD_OPTIONS[::2], WORLD_OPTIONS[1::2]))
    parser = dataparser(
        dataset,
        orientation_method=options["--orientation-method"],
        center_method=options["--center-method"],
        auto_scale_poses=options["--auto-scale-poses"] == "True",
    )
    for split, cameras in (("train", scene.train_cameras), ("val", scene.test_cameras)):
        outputs = parser.get_dataparser_outputs(split)
        torch.testing.assert_close(outputs.cameras.camera_to_worlds, cameras.to_opengl(), atol=1e-5, rtol=0)
        assert outputs.cameras.fx[0].item() == pytest.approx(cameras.Ks[0, 0, 0].item())
        assert (outputs.cameras.width[0].item(), outputs.cameras.height[0].item()) == (96, 80)
        assert outputs.dataparser_scale == 1.0
        torch.testing.assert_close(outputs.dataparser_transform, torch.eye(4)[:3])
        points = outputs.metadata["points3D_xyz"]
        distances, _ = toy_geometry.KDTree(scene.gaussians.means.numpy()).query(points.numpy())
        assert distances.max() < 0.05
        assert outputs.metadata["points3D_rgb"].float().std() > 20
    assert outputs.image_filenames[0].name == "test_000.png"


def test_nerfstudio_by_default_moves_and_scales_the_dataset(open3d, dataset):
    """Why WORLD_OPTIONS are needed."""
    outputs = dataparser(dataset).get_dataparser_outputs("train")
    assert outputs.dataparser_scale != 1.0
    assert outputs.cameras.camera_to_worlds[:, :, 3].abs().max() <= 1.0

"""3DGS .ply files: exact, of any trainer, read by other programs, and refused early when broken."""

import math
import resource
import struct
import time
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scene import assert_equal, random_gaussians

from fasttext2style.scene.files.atomic import atomic_write, check_place
from fasttext2style.scene.files.on_disk import SceneOnDisk
from fasttext2style.scene.files.ply import invalid_rows, map_vertices, read_ply, write_ply
from fasttext2style.scene.files.points import read_points
from fasttext2style.scene.gaussians import Gaussians


def columns_of(gaussians: Gaussians) -> dict[str, np.ndarray]:
    """Every property by name, built value by value: f_rest counts through red first."""
    columns = {name: gaussians.means[:, axis] for axis, name in enumerate("xyz")}
    columns |= {f"f_dc_{color}": gaussians.sh_dc[:, color] for color in range(3)}
    rest = gaussians.sh_rest.shape[1]
    columns |= {f"f_rest_{c * rest + k}": gaussians.sh_rest[:, k, c] for c in range(3) for k in range(rest)}
    columns["opacity"] = gaussians.logit_opacities
    columns |= {f"scale_{axis}": gaussians.log_scales[:, axis] for axis in range(3)}
    columns |= {f"rot_{part}": gaussians.quats[:, part] for part in range(4)}
    return {name: column.numpy() for name, column in columns.items()}


def foreign_ply(path, columns, encoding="binary_little_endian", kind="float", before=""):
    """What another trainer might write, made with struct and str only."""
    names = list(columns)
    count = len(columns[names[0]])
    header = f"ply\nformat {encoding} 1.0\ncomment somebody else's\n{before}element vertex {count}\n"
    header += "".join(f"property {kind} {name}\n" for name in names) + "end_header\n"
    rows = zip(*columns.values(), strict=True)
    if encoding == "ascii":
        body = "".join(" ".join(repr(float(value)) for value in row) + "\n" for row in rows).encode()
    else:
        order, letter = "<>"[encoding == "binary_big_endian"], {"float": "f", "double": "d"}[kind]
        body = b"".join(struct.pack(f"{order}{len(names)}{letter}", *row) for row in rows)
    path.write_bytes(header.encode() + body)
    return path


@given(count=st.integers(1, 30), degree=st.integers(0, 3), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_round_trip_changes_no_bit(tmp_path_factory, count, degree, seed):
    path = tmp_path_factory.mktemp("ply") / "scene.ply"
    gaussians = random_gaussians(count, degree, seed)
    write_ply(path, gaussians)
    assert_equal(read_ply(path), gaussians)


def test_tiny_negative_zero_and_huge_values_survive(tmp_path):
    gaussians = random_gaussians(4, 0)
    extreme = torch.tensor([-0.0, 1e-45, 3.4028235e38, -1e-38])
    gaussians = Gaussians(**{**vars(gaussians), "logit_opacities": extreme})
    write_ply(tmp_path / "a.ply", gaussians)
    assert read_ply(tmp_path / "a.ply").logit_opacities.numpy().tobytes() == extreme.numpy().tobytes()


@given(
    encoding=st.sampled_from(["ascii", "binary_little_endian", "binary_big_endian"]),
    kind=st.sampled_from(["float", "double"]),
    degree=st.integers(0, 3),
    shuffle=st.randoms(use_true_random=False),
)
@settings(max_examples=30, deadline=None)
def test_files_of_any_trainer_read_the_same(tmp_path_factory, encoding, kind, degree, shuffle):
    gaussians = random_gaussians(5, degree)
    columns = list((columns_of(gaussians) | {"nx": np.full(5, np.nan), "segment": np.arange(5.0)}).items())
    shuffle.shuffle(columns)
    path = foreign_ply(tmp_path_factory.mktemp("ply") / "foreign.ply", dict(columns), encoding, kind)
    assert_equal(read_ply(path), gaussians)


def test_elements_before_the_vertices_are_skipped(tmp_path):
    gaussians = random_gaussians(3, 1)
    before = "element camera 2\nproperty float focal\nproperty uchar id\n"
    for encoding, junk in {"ascii": b"1.5 7\n2.5 8\n", "binary_little_endian": bytes(10)}.items():
        path = foreign_ply(tmp_path / f"{encoding}.ply", columns_of(gaussians), encoding, before=before)
        path.write_bytes(path.read_bytes().replace(b"end_header\n", b"end_header\n" + junk))
        assert_equal(read_ply(path), gaussians)


def test_windows_line_ends_are_read(tmp_path):
    path = foreign_ply(tmp_path / "a.ply", columns_of(random_gaussians(3, 1)))
    head, body = path.read_bytes().split(b"end_header\n", 1)
    path.write_bytes(head.replace(b"\n", b"\r\n") + b"end_header\r\n" + body)
    assert_equal(read_ply(path), random_gaussians(3, 1))


@pytest.mark.parametrize("degree", [0, 3])
def test_plyfile_reads_what_we_wrote(tmp_path, degree):
    import plyfile

    gaussians = random_gaussians(6, degree)
    write_ply(tmp_path / "scene.ply", gaussians)
    vertex = plyfile.PlyData.read(tmp_path / "scene.ply")["vertex"]
    for name, column in columns_of(gaussians).items():
        np.testing.assert_array_equal(vertex[name], column)
    assert not vertex["nx"].any()


def test_we_read_what_plyfile_wrote_as_the_3dgs_code_does(tmp_path):
    """graphdeco's save_ply: one structured array, f_rest from features transposed and flattened."""
    import plyfile

    gaussians = random_gaussians(6, 3)
    names = ["x", "y", "z", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3)), *(f"f_rest_{i}" for i in range(45))]
    names += ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    rest = gaussians.sh_rest.transpose(1, 2).flatten(1)
    parts = [gaussians.means, torch.zeros(6, 3), gaussians.sh_dc, rest, gaussians.logit_opacities[:, None]]
    table = torch.cat([*parts, gaussians.log_scales, gaussians.quats], dim=1).numpy()
    rows = np.array(list(map(tuple, table)), dtype=[(name, "f4") for name in names])
    plyfile.PlyData([plyfile.PlyElement.describe(rows, "vertex")]).write(tmp_path / "scene.ply")
    assert_equal(read_ply(tmp_path / "scene.ply"), gaussians)


@pytest.mark.parametrize("degree", [0, 2])
def test_our_layout_is_that_of_ns_export_and_we_read_theirs(tmp_path, exporter, degree):
    gaussians = random_gaussians(6, degree)
    columns, ordered = columns_of(gaussians), OrderedDict()
    normals = dict.fromkeys(("nx", "ny", "nz"), np.zeros(6, np.float32))
    for name in ["x", "y", "z", *normals, *(name for name in columns if name not in "xyz")]:
        ordered[name] = (columns | normals)[name]
    for name in [name for name in ordered if name.startswith("f_rest")]:
        ordered.move_to_end(name)
    for name in [name for name in ordered if name.startswith(("opacity", "scale", "rot"))]:
        ordered.move_to_end(name)
    exporter.ExportGaussianSplat.write_ply(str(tmp_path / "theirs.ply"), 6, ordered)
    assert_equal(read_ply(tmp_path / "theirs.ply"), gaussians)
    write_ply(tmp_path / "ours.ply", gaussians)
    lines = {}
    for whose in ("ours", "theirs"):
        head, body = (tmp_path / f"{whose}.ply").read_bytes().split(b"end_header\n", 1)
        lines[whose] = [line for line in head.splitlines() if not line.startswith(b"comment")], body
    assert lines["ours"] == lines["theirs"]


def test_ns_export_in_rgb_mode_keeps_its_colours(tmp_path, exporter):
    gaussians = random_gaussians(6, 0)
    columns = columns_of(gaussians)
    colors = ((0.5 + 0.28209479177387814 * gaussians.sh_dc).clamp(0, 1) * 255).byte().numpy()
    ordered = OrderedDict((name, column) for name, column in columns.items() if "f_dc" not in name)
    ordered |= {name: colors[:, i] for i, name in enumerate(("red", "green", "blue"))}
    exporter.ExportGaussianSplat.write_ply(str(tmp_path / "rgb.ply"), 6, ordered)
    read = 0.5 + 0.28209479177387814 * read_ply(tmp_path / "rgb.ply").sh_dc
    torch.testing.assert_close(read, torch.from_numpy(colors) / 255)


def test_files_that_are_no_scene_say_so(tmp_path, shared_data):
    with pytest.raises(ValueError, match=r"point cloud or mesh: it lacks opacity, scale_0.*it has x, y, z, red"):
        read_ply(shared_data / "captures" / "bear" / "sparse_pc.ply")
    with pytest.raises(ValueError, match=r"not a \.ply file: it starts with b'\\x89PNG"):
        (tmp_path / "a.ply").write_bytes(b"\x89PNG\r\n\x1a\n")
        read_ply(tmp_path / "a.ply")
    with pytest.raises(FileNotFoundError):
        read_ply(tmp_path / "missing.ply")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("ply\nformat ascii 1.0\nelement vertex 1\n", "no end_header"),
        ("ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nend_header\n", "no Gaussians .element vertex 0"),
        ("ply\nformat binary_middle_endian 1.0\nelement vertex 1\nend_header\n", "got 'binary_middle_endian'"),
        ("ply\nelement vertex 1\nend_header\n", "got 'none'"),
        ("ply\nformat ascii 1.0\nelement face 1\nend_header\n", r"no element vertex, only \['face'\]"),
        ("ply\nformat ascii 1.0\nelement vertex 1\nproperty half x\nend_header\n", "'property half x' is not"),
        ("ply\nformat ascii 1.0\nelement vertex 1\nproperty list uchar int x\nend_header\n", "list uchar int x"),
        ("ply\nformat ascii 1.0\nelement vertex 1\nproperty int x\nproperty int x\nend_header\n", "twice: .'x'"),
        ("ply\nformat ascii 1.0\nelement vertex many\nend_header\n", "header line 'element vertex many'"),
        ("ply\nformat ascii 1.0\nelement vertex 1\nproperty uint packed_position\nend_header\n", "compressed .ply"),
    ],
)
def test_broken_headers_are_named(tmp_path, header, message):
    (tmp_path / "a.ply").write_text(header)
    with pytest.raises(ValueError, match=message):
        read_ply(tmp_path / "a.ply")


@pytest.mark.parametrize(
    "names", [["f_rest_0"], [f"f_rest_{i}" for i in range(10)], [f"f_rest_{i}" for i in range(72)]]
)
def test_odd_numbers_of_coefficients_are_named(tmp_path, names):
    columns = columns_of(random_gaussians(3, 0)) | dict.fromkeys(names, np.zeros(3))
    with pytest.raises(ValueError, match=f"0, 9, 24 or 45 .*got {len(names)}"):
        read_ply(foreign_ply(tmp_path / "a.ply", columns))


def test_a_gap_among_the_coefficients_is_named(tmp_path):
    columns = columns_of(random_gaussians(3, 1))
    columns["f_rest_11"] = columns.pop("f_rest_4")
    with pytest.raises(ValueError, match="got 9 up to f_rest_11"):
        read_ply(foreign_ply(tmp_path / "a.ply", columns))


def test_gaussians_of_two_scales_are_flat(tmp_path):
    """Those of 2DGS: thinner than any other, across their third axis."""
    scene = random_gaussians(9, 1)
    columns = columns_of(scene)
    del columns["scale_2"]
    found = read_ply(foreign_ply(tmp_path / "a.ply", columns))
    assert torch.equal(found.log_scales[:, :2], scene.log_scales[:, :2]) and bool((found.log_scales[:, 2] == -20).all())
    assert torch.equal(found.quats, scene.quats)


def test_the_filter_of_mip_splatting_is_part_of_its_gaussians(tmp_path):
    """A scale of 3 and a filter of 4 are 5; the opacity falls by the ratio of volumes. Without a filter, no change."""
    scene = random_gaussians(2, 0)
    scene.log_scales[:] = torch.tensor(3.0).log()
    scene.logit_opacities[:] = 0.0
    columns = columns_of(scene) | {"filter_3D": np.array([4.0, 0.0])}
    found = read_ply(foreign_ply(tmp_path / "a.ply", columns))
    assert found.scales.flatten().tolist() == pytest.approx([5.0] * 3 + [3.0] * 3)
    assert found.opacities.tolist() == pytest.approx([0.5 * (3 / 5) ** 3, 0.5])


def test_missing_properties_are_listed(tmp_path):
    columns = columns_of(random_gaussians(3, 1))
    del columns["rot_2"], columns["f_dc_1"]
    with pytest.raises(ValueError, match="not a complete 3DGS scene: it lacks f_dc_1, rot_2"):
        read_ply(foreign_ply(tmp_path / "a.ply", columns))


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian"])
def test_a_truncated_file_says_how_much_is_there(tmp_path, encoding):
    path = foreign_ply(tmp_path / "a.ply", columns_of(random_gaussians(9, 1)), encoding)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"cut short.*9 vertices .*, got "):
        read_ply(path)


def test_ascii_that_is_no_number_is_refused(tmp_path):
    path = foreign_ply(tmp_path / "a.ply", columns_of(random_gaussians(3, 0)), "ascii")
    path.write_bytes(path.read_bytes()[:-4] + b"zz\n")
    with pytest.raises(ValueError, match="not a number"):
        read_ply(path)


def test_invalid_rows_are_counted_and_dropped_only_on_request(tmp_path):
    gaussians = random_gaussians(8, 1)
    gaussians.means[1, 2] = float("nan")
    gaussians.sh_rest[1, 0, 0] = gaussians.log_scales[5, 0] = float("inf")
    write_ply(tmp_path / "a.ply", gaussians)
    with pytest.raises(ValueError, match=r"2 of 8 .*means: 1, log_scales: 1, sh_rest: 1.*export the scene again"):
        read_ply(tmp_path / "a.ply")
    with pytest.warns(UserWarning, match="2 of 8 Gaussians .* are left out"):
        rest = read_ply(tmp_path / "a.ply", drop_invalid=True)
    assert_equal(rest, gaussians.subset(torch.tensor([0, 2, 3, 4, 6, 7])))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_ply(tmp_path / "b.ply", rest)
        assert_equal(read_ply(tmp_path / "b.ply", drop_invalid=True), rest)


def test_a_scene_of_nothing_but_nan_is_refused_even_then(tmp_path):
    gaussians = random_gaussians(3, 0)
    gaussians.means[:] = float("nan")
    write_ply(tmp_path / "a.ply", gaussians)
    with pytest.raises(ValueError, match="nothing is left"):
        read_ply(tmp_path / "a.ply", drop_invalid=True)


def test_an_empty_scene_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="no Gaussians to write"):
        write_ply(tmp_path / "a.ply", random_gaussians(3).subset(torch.zeros(3, dtype=torch.bool)))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_scene_whole(tmp_path):
    write_ply(tmp_path / "scene.ply", random_gaussians(5))
    before = (tmp_path / "scene.ply").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError):
            write_ply(tmp_path / "scene.ply", random_gaussians(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "scene.ply").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["scene.ply"]


def test_atomic_write_makes_folders_and_ordinary_permissions(tmp_path):
    with atomic_write(tmp_path / "new" / "folder" / "a.bin") as stream:
        stream.write(b"x")
        assert not (tmp_path / "new" / "folder" / "a.bin").exists()
    (tmp_path / "plain").write_bytes(b"x")
    assert (tmp_path / "new/folder/a.bin").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("folder", "is a folder: give the name of a file"),
        ("file/a.bin", "cannot be written (File exists)"),
        ("file/deep/a.bin", "cannot be written (Not a directory)"),
        ("x" * 300, "cannot be written (File name too long)"),
        ("/proc/new/a.bin", "cannot be written"),
    ],
    ids=lambda value: value[:20],
)
def test_a_place_where_no_file_can_be_is_refused_before_the_work(tmp_path, place, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(ValueError) as refused:
        check_place(tmp_path / place)
    assert message in str(refused.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_asking_for_a_place_leaves_nothing_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert check_place(Path("~/new/folder/a.bin")) == tmp_path / "new" / "folder" / "a.bin"
    assert check_place(tmp_path / "new" / ".." / "other" / "a.bin").name == "a.bin"
    assert list(tmp_path.iterdir()) == []


def test_a_large_scene_is_written_and_read_in_seconds(tmp_path):
    gaussians = random_gaussians(200_000, 3)
    start = time.process_time()
    write_ply(tmp_path / "big.ply", gaussians)
    assert_equal(read_ply(tmp_path / "big.ply"), gaussians)
    assert time.process_time() - start < 5


# --- point clouds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, byte_order", [(True, "="), (False, "<"), (False, ">")])
def test_a_point_cloud_of_another_program_is_read(tmp_path, text, byte_order):
    """By plyfile, with faces behind and properties that nobody asked for."""
    import plyfile

    rows = [(0.5, -1.0, 2.0, 7.0, 0, 128, 255), (3.0, 4.0, 5.25, 7.0, 1, 2, 3)]
    names = [("z", "f8"), ("y", "f8"), ("x", "f8"), ("nx", "f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]
    vertices = plyfile.PlyElement.describe(np.array(rows, dtype=names), "vertex")
    faces = plyfile.PlyElement.describe(np.array([([0, 1, 0],)], dtype=[("vertex_indices", "i4", (3,))]), "face")
    plyfile.PlyData([vertices, faces], text=text, byte_order=byte_order).write(tmp_path / "points.ply")
    points, colors = read_points(tmp_path / "points.ply")
    assert points.tolist() == [[2.0, -1.0, 0.5], [5.25, 4.0, 3.0]]
    assert colors is not None and colors.tolist() == [[0, 128, 255], [1, 2, 3]]


def test_a_point_cloud_may_have_no_colours_and_no_points(tmp_path):
    for count in (2, 0):
        points, colors = read_points(foreign_ply(tmp_path / "a.ply", dict.fromkeys("xyz", np.ones(count))))
        assert points.shape == (count, 3) and colors is None


def test_a_broken_point_cloud_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no point cloud: it lacks y; it has x, z"):
        read_points(foreign_ply(tmp_path / "a.ply", dict.fromkeys("xz", np.ones(2))))
    path = foreign_ply(tmp_path / "a.ply", dict.fromkeys("xyz", np.ones(9)))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut short: 9 vertices take 108 bytes, got 107"):
        read_points(path)


# --- values that are infinite before activation, and fine after it ----------------------------------------------------


def test_full_and_no_opacity_and_no_thickness_are_no_faults(tmp_path):
    """Optimisers that store opacities as logits and scales as logarithms write these as infinity."""
    gaussians = random_gaussians(6, 1)
    gaussians.logit_opacities[0], gaussians.logit_opacities[1] = math.inf, -math.inf
    gaussians.log_scales[2, 2] = -math.inf
    gaussians.logit_opacities[3], gaussians.log_scales[3, 0] = 25.0, -30.0
    write_ply(tmp_path / "a.ply", gaussians)
    read = read_ply(tmp_path / "a.ply")
    assert read.opacities[:2].tolist() == pytest.approx([1.0, 0.0], abs=1e-8)
    assert float(read.scales[2, 2]) < 1e-8
    # What is finite is nobody's business.
    assert read.logit_opacities[3] == 25.0 and read.log_scales[3, 0] == -30.0
    assert not invalid_rows(map_vertices(tmp_path / "a.ply"), tmp_path / "a.ply").any()
    assert SceneOnDisk(tmp_path / "a.ply").subset(torch.arange(6)).logit_opacities.tolist() == pytest.approx(
        read.logit_opacities.tolist()
    )


@pytest.mark.parametrize("name, value", [("log_scales", math.inf), ("logit_opacities", math.nan), ("means", -math.inf)])
def test_infinite_sizes_and_places_and_nan_are_faults(tmp_path, name, value):
    gaussians = random_gaussians(6, 1)
    getattr(gaussians, name)[4] = value
    write_ply(tmp_path / "a.ply", gaussians)
    with pytest.raises(ValueError, match=r"a\.ply: 1 of 6 Gaussians .*export the scene again"):
        read_ply(tmp_path / "a.ply")
    assert invalid_rows(map_vertices(tmp_path / "a.ply"), tmp_path / "a.ply").tolist() == [False] * 4 + [True, False]


# --- colours of point clouds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, names, values, expected",
    [
        ("float", ("red", "green", "blue"), (0.0, 0.5, 1.0), [0, 128, 255]),
        ("float", ("red", "green", "blue"), (0.0, 128.0, 255.0), [0, 128, 255]),
        ("double", ("r", "g", "b"), (0.25, 0.5, 1.0), [64, 128, 255]),
        ("float", ("diffuse_red", "diffuse_green", "diffuse_blue"), (0.0, 32896.0, 65535.0), [0, 128, 255]),
        ("float", ("Red", "Green", "Blue"), (7.0, 8.0, 9.0), [7, 8, 9]),
        ("float", ("f_dc_0", "f_dc_1", "f_dc_2"), (0.0, 10.0, -10.0), [128, 255, 0]),
    ],
)
def test_colours_of_other_programs(tmp_path, kind, names, values, expected):
    columns = {axis: [1.0, 2.0] for axis in "xyz"} | {name: [value, value] for name, value in zip(names, values)}
    _, colors = read_points(foreign_ply(tmp_path / "a.ply", columns, kind=kind))
    assert colors is not None and colors[0].tolist() == expected

"""How the CPU kernels run: vectorised, compiled once, the same on any number of threads and from any thread."""

import os
import platform
import re
import subprocess
import sys
import textwrap

import llvmlite.binding
import pytest
import torch
from numba import njit
from numba.core.registry import CPUDispatcher
from splat_scenes import GEOMETRY, ball, require_grad

from fasttext2style.scene.cpu import kernels as cpu_kernels
from fasttext2style.scene.rasterize import rasterize

KERNELS = {
    name: value
    for name, value in vars(cpu_kernels).items()
    if isinstance(value, CPUDispatcher) and not name.startswith("_")
}


def render_and_differentiate(seed: int = 0, **options) -> list[torch.Tensor]:
    scene = require_grad(ball(count=3000, views=3, width=70, height=90, seed=seed))
    image, alphas, _ = rasterize(**scene, sh_degree=3, render_mode="RGB+ED", **options)
    generator = torch.Generator().manual_seed(1)
    (image * torch.randn(image.shape, generator=generator)).sum().backward()
    return [image, alphas, *(scene[name].grad for name in GEOMETRY)]


@pytest.fixture
def restore_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_same_bits_from_run_to_run_and_on_any_number_of_threads(restore_threads):
    torch.set_num_threads(1)
    expected = render_and_differentiate()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        assert all(torch.equal(ours, one) for ours, one in zip(render_and_differentiate(), expected, strict=True))


@pytest.mark.parametrize("name", ["blend_forward", "blend_backward"])
def test_inner_loops_are_vectorised(name):
    """A loop that lost its vectors is 5 to 15 times slower and passes every other test."""
    features = llvmlite.binding.get_host_cpu_features()
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64") and features.get("avx2"):
        width = "zmm" if features.get("avx512f") else "ymm"
        packed = rf"v(?:fn?m(?:add|sub)\d+|mul)ps\s.*%{width}"
    elif machine in ("arm64", "aarch64"):
        packed = r"\b(?:fmla|fmul)(?:\.4s|\s+v\d+\.4s)"
    else:
        pytest.skip(f"do not know the vector instructions of {machine}")
    render_and_differentiate()
    kernel = KERNELS[name]
    # Compiled anew: numba cannot show the assembly of what it took from its disk cache.
    fresh = njit(**cpu_kernels._options)(kernel.py_func)
    fresh.compile(kernel.signatures[0])
    (assembly,) = fresh.inspect_asm().values()
    # The forward loop alone has 2 products before the exponential, 8 in it, and 5 after it.
    assert len(re.findall(packed, assembly)) >= 15


def test_all_modes_share_one_signature_per_kernel():
    scene = ball(count=50)
    for mode in ("RGB", "D", "ED", "RGB+D", "RGB+ED"):
        for rasterize_mode in ("classic", "antialiased"):
            for degree in (None, 0, 3):
                for absgrad in (False, True):
                    leaves = require_grad(scene if degree is not None else {**scene, "colors": torch.rand(2, 50, 3)})
                    background = torch.ones(2, 3) if absgrad else None
                    image, alphas, _ = rasterize(
                        **leaves, sh_degree=degree, render_mode=mode, rasterize_mode=rasterize_mode,
                        backgrounds=background, absgrad=absgrad,
                    )  # fmt: skip
                    (image.sum() + alphas.sum() * absgrad).backward()
    image, _, _ = rasterize(**{**scene, "colors": torch.rand(50, 9), "near_plane": 1.0, "eps2d": 0.1})
    assert {name: len(kernel.signatures) for name, kernel in KERNELS.items()} == dict.fromkeys(KERNELS, 1)


def run_python(program: str, **environment: str) -> str:
    """Run a program in a fresh interpreter; it finds this folder's helpers and prints what it found out."""
    here = os.path.dirname(__file__)
    preamble = f"import sys; sys.path.insert(0, {here!r})\n"
    result = subprocess.run(
        [sys.executable, "-c", preamble + textwrap.dedent(program)],
        env={**os.environ, "OMP_WAIT_POLICY": "passive", **environment},
        cwd=os.path.join(here, "..", ".."),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_warm_start_compiles_nothing():
    """A second process reads every kernel from the disk: compiling them takes half a minute."""
    program = """
        import sys, torch
        from numba.core.dispatcher import Dispatcher
        from splat_scenes import ball, require_grad
        from fasttext2style.scene.cpu import kernels as cpu_kernels
        from fasttext2style.scene.rasterize import rasterize
        image, _, _ = rasterize(**require_grad(ball(count=50)), sh_degree=3, render_mode="RGB+ED")
        image.sum().backward()
        stats = [it.stats for it in vars(cpu_kernels).values() if isinstance(it, Dispatcher)]
        print(sum(len(it.cache_hits) for it in stats), sum(len(it.cache_misses) for it in stats))
        """
    bare = os.path.dirname(sys.executable)  # no compiler in sight
    run_python(program, PATH=bare)  # fills the disk cache, if it was empty
    read, compiled = map(int, run_python(program, PATH=bare).split())
    assert read > 0 and compiled == 0


def test_two_python_threads_render_at_once_under_the_layer_that_would_die_of_it():
    """numba's workqueue layer ends the process when two threads enter it; our kernels use no such layer."""
    program = """
        import threading, torch
        torch.set_num_threads(2)
        from test_rasterize_kernels import render_and_differentiate
        expected = [render_and_differentiate(seed) for seed in (0, 1)]
        equal = []
        def work(seed):
            for _ in range(5):
                ours = render_and_differentiate(seed)
                equal.append(all(torch.equal(a, b) for a, b in zip(ours, expected[seed])))
        threads = [threading.Thread(target=work, args=(seed,)) for seed in (0, 1)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(len(equal), all(equal))
        """
    assert run_python(program, NUMBA_THREADING_LAYER="workqueue").split() == ["10", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_renders():
    program = """
        import os, torch
        torch.set_num_threads(2)
        from splat_scenes import ball
        from fasttext2style.scene.rasterize import rasterize
        expected, _, _ = rasterize(**ball(), sh_degree=3)
        child = os.fork()
        if child == 0:
            image, _, _ = rasterize(**ball(), sh_degree=3)
            os._exit(0 if torch.equal(image, expected) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    assert run_python(program).strip() == "0"

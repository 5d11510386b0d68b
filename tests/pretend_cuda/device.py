"""torch's CUDA tensors without a GPU; import this before torch.

Then `torch.cuda.is_available()`, and tensors on "cuda" are torch's own: no subclass, no mode. So autograd's device
threads, the caching allocator with its statistics, streams, events, generators, `.numpy()`, pickling and all of
`torch.cuda` behave as on a GPU, in every thread. Replaced are the CUDA runtime (`runtime.c`) and each CUDA kernel of
aten: by a function that checks devices as that kernel does, and calls the CPU's kernel on the same memory.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BUILT = Path(tempfile.gettempdir()) / f"ft2s_pretend_cuda_{os.getuid()}"
"""Of this user alone: the checkout may be read-only."""


def _load(source: str, name: str) -> None:
    """Build a library and load it for all that comes after: the first definition of a symbol is the one that counts."""
    built = BUILT / name
    if not built.exists() or built.stat().st_mtime < (HERE / source).stat().st_mtime:
        BUILT.mkdir(mode=0o700, exist_ok=True)
        new = built.with_suffix(f".{os.getpid()}")
        command = ["gcc", "-shared", "-fPIC", "-O1", "-w", f"-Wl,-soname,{name}", "-o", str(new), str(HERE / source)]
        subprocess.run(command, check=True)
        new.replace(built)
    ctypes.CDLL(str(built), mode=ctypes.RTLD_GLOBAL)


assert "torch" not in sys.modules, "the pretended GPU has to be there before torch is imported"
_load("driver.c", "libcuda.so.1")
_load("runtime.c", "libpretended_cudart.so")

import torch  # noqa: E402
import torchgen  # noqa: E402
from torch import Tensor  # noqa: E402

Hook = Callable[[str, dict[str, Any]], None]
hooks: list[Hook] = []
"""Called with the name and the arguments by name of every kernel that runs."""

COPIES = {"copy_", "copy", "_copy_from", "_copy_from_and_resize"}
"""These take tensors of any two devices."""
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"}
"""These take indices from the CPU, too."""
MATRICES = {"convolution", "convolution_backward", "mm", "bmm", "addmm", "baddbmm"}
"""In fp16 they are added up in fp32, as a GPU does; a CPU is also a hundred times slower in fp16."""
NATIVE = {
    *("empty", "empty_strided", "resize_", "set_", "as_strided", "record_stream", "is_pinned", "_pin_memory"),
    *("is_set_to", "_efficientzerotensor", "_has_same_storage_numel", "_fused_sdp_choice"),
}
"""These make or describe memory, which torch's own code does on the host."""
COMPOSITE = ["aten::copy_", "aten::convolution", "aten::convolution_backward"]
"""These are no CUDA kernels, but choose one of cuDNN or call a device's code themselves."""


def on_host(tensor: Tensor) -> Tensor:
    """The same memory as a tensor of the CPU."""
    storage = tensor.untyped_storage()
    size = storage.nbytes()
    if not size:
        return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype)
    memory = (ctypes.c_uint8 * size).from_address(storage.data_ptr())
    flat = torch.frombuffer(memory, dtype=torch.uint8).untyped_storage()
    return torch.empty(0, dtype=tensor.dtype).set_(flat, tensor.storage_offset(), tensor.size(), tensor.stride())


def on_device(tensor: Tensor) -> Tensor:
    """A copy of a tensor of the CPU in the device's memory, with the same strides."""
    if tensor.device.type != "cpu":
        return tensor
    made = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="cuda")
    if tensor.numel():
        reach = 1 + sum((count - 1) * stride for count, stride in zip(tensor.size(), tensor.stride()))
        ctypes.memmove(made.data_ptr(), tensor.data_ptr(), reach * tensor.element_size())
    return made


def base_name(name: str) -> str:
    """aten::index_put.out -> index_put"""
    return name.partition("::")[2].partition(".")[0]


# --- what a kernel refuses -------------------------------------------------------------------------------------------


def _kernels_that_check_themselves() -> set[str]:
    """Kernels by TensorIterator: numbers of the CPU may join tensors of the device. torch's generated code checks for
    all others that every tensor is on one device."""
    text = (Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml").read_text()
    entries = re.split(r"^- func: ", text, flags=re.MULTILINE)[1:]
    own = (entry for entry in entries if re.search(r"^\s+device_check: NoCheck", entry, re.MULTILINE))
    return {"aten::" + entry.partition("(")[0] for entry in own}


CHECK_THEMSELVES = _kernels_that_check_themselves()


def _check_devices(name: str, given: dict[str, Any]) -> None:
    base = base_name(name)
    if base in COPIES:
        return
    found = [
        (argument, tensor)
        for argument, value in given.items()
        for tensor in (value if isinstance(value, (list, tuple)) else [value])
        if isinstance(tensor, Tensor)
    ]
    if base in INDEXED:
        home = given["self"].device
        if any(a == "indices" and t.device.type != "cpu" and t.device != home for a, t in found):
            raise RuntimeError(
                f"indices should be either on cpu or on the same device as the indexed tensor ({home.type})"
            )
        found = [(argument, tensor) for argument, tensor in found if argument != "indices"]
    if name in CHECK_THEMSELVES:
        found = [(argument, tensor) for argument, tensor in found if tensor.dim()]
    devices = sorted({str(tensor.device) for _, tensor in found}, reverse=True)
    if len(devices) > 1:
        culprit = next(argument for argument, tensor in found if tensor.device != found[0][1].device)
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {' and '.join(devices)}! "
            f"(when checking argument for argument {culprit} in method wrapper_CUDA_{base})"
        )


def _generator(given: torch.Generator | None) -> torch.Generator:
    """Numbers for one call; the CUDA generator that they stand for moves on."""
    if given is not None and given.device.type != "cuda":
        raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
    source = torch.cuda.default_generators[0] if given is None else given
    made = torch.Generator().manual_seed((source.initial_seed() * 1_000_003 + source.get_offset()) % 2**63)
    source.set_offset(source.get_offset() + 4)
    return made


# --- one kernel ------------------------------------------------------------------------------------------------------


class _Kernel:
    """Stands in for one CUDA kernel."""

    def __init__(self, op: Any, name: str) -> None:
        arguments, returns = op._schema.arguments, op._schema.returns
        self.op, self.name, self.returns = op, name, returns
        self.names = [a.name for a in arguments]
        self.tensors = {a.name for a in arguments if str(a.type) in ("Tensor", "Optional[Tensor]")}
        self.written = {a.name for a in arguments if a.alias_info is not None and a.alias_info.is_write}
        self.generator = next((a.name for a in arguments if "Generator" in str(a.type)), None)
        self.base = base_name(name) if "out" not in name else ""
        self.sources = [self._source_of(r, arguments) for r in returns]

    @staticmethod
    def _source_of(returned: Any, arguments: Any) -> str | None:
        """The argument that comes back, of kernels that write into one."""
        places = set(returned.alias_info.before_set) if returned.alias_info is not None else set()
        return next((a.name for a in arguments if a.alias_info and set(a.alias_info.before_set) & places), None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with torch._C.DisableTorchFunction():
            given = dict(zip(self.names, args)) | kwargs
            for hook in hooks:
                hook(self.name, given)
            _check_devices(self.name, given)
            return self._run(given, len(args))

    def _run(self, given: dict[str, Any], positional: int) -> Any:
        resized: list[tuple[Tensor, Tensor]] = []
        inside = {key: self._inside(key, value, resized) for key, value in given.items()}
        for key in self.tensors:
            if isinstance(inside.get(key), (bool, int, float, complex)):  # a number that torch had made a tensor
                others = [value for value in inside.values() if isinstance(value, Tensor)]
                kind = torch.result_type(others[0], inside[key]) if others else torch.get_default_dtype()
                inside[key] = torch.tensor(inside[key], dtype=kind)
        if self.generator:
            inside[self.generator] = _generator(given.get(self.generator))
        result = self._widened([inside[n] for n in self.names[:positional] if n in inside],
                               {n: v for n, v in inside.items() if n not in self.names[:positional]})  # fmt: skip
        for outer, fresh in resized:
            if fresh.numel():
                outer.resize_(fresh.shape)
                on_host(outer).copy_(fresh)
        return self._outside(given, result)

    def _inside(self, key: str, value: Any, resized: list[tuple[Tensor, Tensor]]) -> Any:
        """An argument for the CPU's kernel: the same memory, but for results whose size that kernel sets."""
        if isinstance(value, Tensor):
            if value.device.type != "cuda":
                return value
            if key in self.written and not value.numel():
                resized.append((value, torch.empty(value.size(), dtype=value.dtype)))
                return resized[-1][1]
            return on_host(value)
        if isinstance(value, (list, tuple)):
            return [self._inside(key, one, resized) for one in value]
        if isinstance(value, torch.device) and value.type == "cuda":
            return torch.device("cpu")
        return value

    def _widened(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The kernel, in fp32 where a GPU reckons so and a CPU would not."""
        if (
            "half_to_float" in self.names and args and args[-1] is True
        ):  # softmax of fp16 into fp32, which only CUDA fuses
            args = [a.float() if isinstance(a, Tensor) and a.dtype == torch.float16 else a for a in args[:-1]] + [False]
        narrows = self.base in ("_softmax_backward_data", "_log_softmax_backward_data") and args[-1] == torch.float16
        if narrows:
            return self.op(*args[:-1], torch.float32, **kwargs).half()
        halves = [a for a in args if isinstance(a, Tensor) and a.dtype == torch.float16]
        if self.base not in MATRICES or not halves:
            return self.op(*args, **kwargs)
        wide = [a.float() if isinstance(a, Tensor) and a.dtype == torch.float16 else a for a in args]
        result = self.op(*wide, **kwargs)
        return result.half() if isinstance(result, Tensor) else tuple(r if r is None else r.half() for r in result)

    def _outside(self, given: dict[str, Any], result: Any) -> Any:
        """The results in the device's memory; what was written into is the very argument."""
        if not self.returns:
            return None
        several = isinstance(result, (list, tuple)) and len(self.returns) > 1
        results: list[Any] = []
        for value, source in zip(result if several else [result], self.sources):
            if source is not None:
                value = given[source]
            elif isinstance(value, Tensor):
                value = on_device(value)
            elif isinstance(value, (list, tuple)):
                value = [on_device(one) if isinstance(one, Tensor) else one for one in value]
            results.append(value)
        return tuple(results) if several else results[0]


_libraries: dict[str, torch.library.Library] = {}


def _replace_kernels() -> None:
    names = set(torch._C._dispatch_get_registrations_for_dispatch_key("CUDA")) | set(COMPOSITE)
    for full in sorted(names):
        namespace, rest = full.split("::")
        base, _, overload = rest.partition(".")
        if namespace not in ("aten", "torchvision") or base in NATIVE:
            continue
        try:
            op = getattr(getattr(getattr(torch.ops, namespace), base), overload or "default")
        except (AttributeError, RuntimeError):
            continue  # torch calls it by itself, and Python cannot
        if any(r.alias_info is not None and not r.alias_info.is_write for r in op._schema.returns):
            continue  # a view: no kernel
        library = _libraries.setdefault(namespace, torch.library.Library(namespace, "IMPL", "CUDA"))
        library.impl(rest, _Kernel(op, full), "CUDA", allow_override=True)
    plain_matrices = 0
    _libraries["aten"].impl("_fused_sdp_choice", lambda *_, **__: plain_matrices, "CUDA", allow_override=True)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch warns of each kernel that is replaced
    _replace_kernels()
# Libraries without a twin on the CPU: torch takes its plain kernels then.
torch.backends.cudnn.enabled = False
torch.backends.cuda.enable_flash_sdp(False)
torch.backends.cuda.enable_mem_efficient_sdp(False)
torch.backends.cuda.enable_cudnn_sdp(False)

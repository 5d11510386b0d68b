"""pytest -p tests.pretend_cuda.plugin: the tests with a GPU that is not there, in a process of its own.

Loaded before torch: by `-p`, before any conftest.
"""

from tests.pretend_cuda import device, gsplat_kernels

gsplat_kernels.install()
IS_HERE = bool(device.hooks is not None)

"""The rasterizer without CUDA: numba kernels and the autograd functions around them."""

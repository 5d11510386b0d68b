"""A GPU that is not there: torch's own CUDA tensors in host memory, for the CUDA path without a GPU. See README.md."""

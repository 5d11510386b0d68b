"""The scene and its renders: Gaussians, Cameras, files, rasterization, and a small scene to try things on.

Knows nothing of nerfstudio, viser, texts or losses.
"""

"""The scene and how it is seen. Knows nothing of nerfstudio, viser, texts or losses.

gaussians.py, cameras.py what there is and from where it is seen · rasterize.py renders, on either device · splats.py
what both backends take · gsplat_backend.py CUDA · cpu/ our own loops · files/ .ply, .spz, .sog, .splat, exports
"""

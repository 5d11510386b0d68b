"""Scenes as files: .ply, .spz, .sog (read only) and .splat; written whole or not at all."""

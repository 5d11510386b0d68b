"""Scenes as files: .ply, .spz and .splat; written whole or not at all."""

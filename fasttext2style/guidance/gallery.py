"""Sentences to begin with."""

GALLERY = (
    *("made of gold", "carved from ice", "made of white marble", "weathered bronze", "glowing lava", "mossy stone"),
    *("a starry night", "leopard fur", "striped zebra", "blue denim", "rusted iron", "red bricks", "green emerald"),
)
"""Every encoder knows them, the packaged one, too."""

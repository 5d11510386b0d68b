"""What all methods share of nerfstudio: model, data manager, checkpoints, outputs, checks of a capture, console."""

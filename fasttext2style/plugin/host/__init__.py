"""What all methods share of nerfstudio: model, data manager, checkpoints, outputs, checks at the start."""

"""A text loss that needs more memory than there is for more than two patches at once."""

import torch


def hungry(seen):
    if len(seen.images) > 2:
        torch.empty(2**40, dtype=torch.uint8, device=seen.images.device)
    return (1 - seen.images @ seen.prompt).mean()

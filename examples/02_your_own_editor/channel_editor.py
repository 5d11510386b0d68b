"""An editor of images of your own: the least that there is.

    python examples/02_your_own_editor/channel_editor.py

edits two pictures and writes channels.png. Use it in a run by its import path, with this folder on PYTHONPATH:

    ns-train fasttext2style-ip2p ... --pipeline.editor channel_editor:ChannelEditor

or give it a name in your package's pyproject.toml, and then that name is enough:

    [project.entry-points."fasttext2style.editors"]
    channels = "channel_editor:ChannelEditor"
"""

from __future__ import annotations

import torch

from fasttext2style.editors.editor import EditRequest, EditResult, OnStep


class ChannelEditor:
    """Follows instructions such as "swap red and blue" and "without green".

    Everything around an edit is done for it: the object is cut out and pasted back, views come in batches, what lies
    outside the mask is kept, and views that come back as NaN, black or of another size keep their last target.
    """

    name = "channels"
    capabilities = frozenset({"batch"})
    native_size = 0
    """The side in pixels at which it edits best; 0: pictures as they come."""

    def __init__(self, device: torch.device | str = "cpu", amount: float = 1.0):
        """`device` is where to work, all others are settings of your own: `load_editor(name, device, amount=0.5)`."""
        self.device, self.amount = torch.device(device), amount

    def edit(self, request: EditRequest, on_step: OnStep | None = None) -> EditResult:
        """Images [views, height, width, 3] in [0, 1] come in, as many of the same size go out."""
        images = request.images.to(self.device)
        named = [index for index, color in enumerate(("red", "green", "blue")) if color in request.instruction]
        edited = images.clone()
        if "swap" in request.instruction and len(named) == 2:
            edited[..., named] = images[..., named[::-1]]
        elif "without" in request.instruction:
            edited[..., named] = 0
        if on_step is not None:
            on_step(1, 1)
        mixed = torch.lerp(images, edited, self.amount)
        return EditResult(mixed, info={"model": self.name, "amount": self.amount})

    def close(self) -> None:
        """Nothing to free."""


if __name__ == "__main__":
    from PIL import Image

    from fasttext2style.editors.local_edit import LocalEditor

    rainbow = torch.stack(torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 128), indexing="ij"), dim=-1)
    pictures = torch.cat([rainbow, 1 - rainbow[..., :1]], dim=-1).repeat(2, 1, 1, 1)
    circle = ((rainbow - 0.5) ** 2).sum(-1, keepdim=True) < 0.1
    asked = EditRequest(pictures, "swap red and blue", mask=circle.float().expand(2, -1, -1, -1))
    answer = LocalEditor(ChannelEditor()).edit(asked)
    Image.fromarray((torch.cat([pictures[0], answer.images[0]], 1) * 255).byte().numpy()).save("channels.png")
    print(f"channels.png shows before and after; {answer.info}")

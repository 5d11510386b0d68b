"""Shows and measures what an editor makes of the toy scene: a sheet of pictures and a table.

    python examples/train_tiny_editor/look.py --editor outputs/tiny_editor/pipeline --out outputs/tiny_editor/look.png

Rows are views, columns the original and one edit per instruction. The table gives the mean colour of the object, what
it should be, the mean change outside (which is the autoencoder's, for the editor sees no mask here), and how much two
neighbouring views of the same spot differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from paint import LOOKS, Paints, original
from PIL import Image
from stages import Stages, toy_stages
from torch import Tensor

from fasttext2style.editors.editor import EditRequest
from fasttext2style.editors.load import load_editor

INSTRUCTIONS = {
    "make it red": "red", "make the bear blue": "blue", "paint it green": "green", "turn it yellow": "yellow",
    "make it purple": "purple", "turn the statue black": "black", "a white bear": "white", "make it pink": "pink",
    "turn the bear into gold": "gold", "turn it into silver": "silver", "turn it into ice": "ice",
    "cover it in snow": "snow", "make it out of lava": "lava", "a bear made of wood": "wood",
    "turn it into stone": "stone", "cover the bear with grass": "grass", "turn it into marble": "marble",
    "set it on fire": "fire", "turn it into water": "water", "a chocolate bear": "chocolate",
    "make it xylophone": "", "turn the bear into a senator": "", "make it nicer": "",
}  # fmt: skip
"""Instruction -> the look it asks for; nothing: a word that the editor does not know."""


@dataclass
class Settings:
    editor: str = "tiny"
    """As for `load_editor`."""
    out: Path = Path("look.png")
    views: int = 6
    steps: int = 20
    guidance: float = 7.5
    image_guidance: float = 1.5
    strength: tuple[float, float] = (0.98, 0.98)
    shared_noise: bool = True


@torch.no_grad()
def main(settings: Settings) -> None:
    stages = toy_stages(settings.views, 64, torch.Generator().manual_seed(77))
    stages = stages.pick(torch.arange(len(stages)))
    editor, paints, before = load_editor(settings.editor), Paints(seed=0), original(stages)
    sheet = [before]
    print(f"{'instruction':30} {'mean colour':16} {'asked for':16} {'error':>6} {'outside':>8} {'between views':>14}")
    for instruction, look in INSTRUCTIONS.items():
        request = EditRequest(
            before.movedim(1, -1),
            instruction,
            strength=settings.strength,
            steps=settings.steps,
            guidance=settings.guidance,
            image_guidance=settings.image_guidance,
            shared_noise=settings.shared_noise,
        )
        edited = editor.edit(request).images.movedim(-1, 1)
        sheet.append(edited)
        asked = paints.paint(stages, torch.full((len(stages),), LOOKS.index(look))) if look else before
        inside, outside = stages.coverage > 0.9, stages.coverage < 0.01
        error, drift = ((edited - wanted).abs().mean(1, keepdim=True) for wanted in (asked, before))
        print(
            f"{instruction:30} {_colour(edited, inside):16} {_colour(asked, inside):16} "
            f"{error[inside].mean():6.3f} {drift[outside].mean():8.3f} "
            f"{_disagreement(edited, stages):7.3f} ({_disagreement(asked, stages):.3f})"
        )
    pictures = torch.stack(sheet, 1).permute(0, 3, 1, 4, 2).reshape(settings.views * 64, -1, 3)
    Image.fromarray((pictures.clamp(0, 1) * 255).byte().numpy()).save(settings.out)
    print(f"{settings.out}: original, {', '.join(INSTRUCTIONS)}")


def _colour(images: Tensor, mask: Tensor) -> str:
    return " ".join(f"{channel[mask[:, 0]].mean():.2f}" for channel in images.unbind(1))


def _disagreement(images: Tensor, stages: Stages, reach: float = 0.02) -> float:
    """Mean difference between views of pixels that lie on the same spot of the object, up to `reach`."""
    seen = [coverage[0] > 0.9 for coverage in stages.coverage]
    spots = [position[:, mask].mT for position, mask in zip(stages.positions, seen)]
    colours = [image[:, mask].mT for image, mask in zip(images, seen)]
    differences = []
    for one in range(len(images)):
        for other in range(one):
            distance, nearest = torch.cdist(spots[one], spots[other]).min(1)
            near = distance < reach
            differences.append((colours[one] - colours[other][nearest])[near].abs().flatten())
    return torch.cat(differences).mean().item()


if __name__ == "__main__":
    main(tyro.cli(Settings))

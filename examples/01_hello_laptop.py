"""The styling loop in thirty lines, without nerfstudio: a scene, a selection, a sentence, an optimizer.

python examples/01_hello_laptop.py "ice" ice.png
"""

import sys
from pathlib import Path

import torch

from fasttext2style.evaluation.report import contact_sheet, write_png
from fasttext2style.guidance.load import load_encoder
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.styler import ObjectStyler, StylerConfig
from fasttext2style.toy.scene import toy_scene


def main(prompt: str = "a bear made of gold", picture: str = "hello.png", steps: int = 150) -> None:
    toy = toy_scene()
    edit = EditableObject(toy.gaussians, Selection(toy.object_weights, "known"))
    styler = ObjectStyler(edit, toy.train_cameras, load_encoder("tiny"), prompt, StylerConfig(train=("features_dc",)))
    optimizer = torch.optim.Adam([edit.parameters["features_dc"]], lr=0.02)
    for step in range(steps):
        losses, _ = styler.losses()
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        if step % 25 == 0:
            print(step, {name: round(float(loss.detach()), 3) for name, loss in losses.items()})
    before, after = (render(scene, toy.test_cameras)[0].clamp(0, 1) for scene in (toy.gaussians, edit.merged()))
    write_png(Path(picture), contact_sheet(before, after, prompt))
    print(f"Open {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))

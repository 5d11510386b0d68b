"""The styling loop in twenty lines, without nerfstudio: a scene, a selection, a sentence, an optimizer.

python examples/01_hello_laptop.py "ice" ice.png
"""

import sys
from pathlib import Path

import torch

import fasttext2style as ft


def main(prompt: str = "a bear made of gold", picture: str = "hello.png", *, steps: int = 150) -> None:
    toy = ft.toy_scene()
    edit = ft.EditableObject(toy.gaussians, ft.Selection(toy.object_weights, "known"))
    config = ft.StylerConfig(train=("features_dc",))
    styler = ft.ObjectStyler(edit, toy.train_cameras, ft.load_encoder("tiny"), prompt, config)
    optimizer = torch.optim.Adam([edit.parameters["features_dc"]], lr=0.02)
    for step in range(steps):
        losses, _ = styler.losses()
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        if step % 25 == 0:
            print(step, {name: round(float(loss.detach()), 3) for name, loss in losses.items()})
    before, after = (ft.render(scene, toy.test_cameras)[0].clamp(0, 1) for scene in (toy.gaussians, edit.merged()))
    ft.write_png(Path(picture), ft.contact_sheet(before, after, prompt))
    print(f"Open {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:3])

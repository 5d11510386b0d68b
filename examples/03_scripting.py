"""A script of your own, with the public API alone: find an object, style it, prove that nothing else changed, save it.

    python examples/03_scripting.py "a bear made of gold" gold

writes gold.ply (the scene, for any viewer of Gaussian splats) and gold.png (held-out views before and after). For a
scene of yours: `ft.read_ply` for the Gaussians, `ft.Cameras` or `ft.Cameras.from_opengl` for views around the object.
"""

import sys
from pathlib import Path

import torch

import fasttext2style as ft

RATES = {"features_dc": 0.02, "features_rest": 0.001}
"""Learning rates of what changes: the colours, and how they depend on the view."""


def main(prompt: str = "a bear made of gold", name: str = "styled", *, steps: int = 100) -> None:
    toy = ft.toy_scene()
    scene, cameras = toy.gaussians, toy.train_cameras
    # One click: what is seen at this pixel of the first view. Or select_automatic, select_by_text, select_box ...
    clicked = ft.pick(scene, cameras[0], 128, 110)
    bear = ft.ClickSelector(scene, cameras).select(clicked.position[None])
    print(f"{bear.count:,} of {len(scene):,} Gaussians are the object.")

    edit, config = ft.EditableObject(scene, bear), ft.StylerConfig(train=("features_dc", "features_rest"))
    styler = ft.ObjectStyler(edit, cameras, ft.load_encoder("tiny"), prompt, config)
    optimizers = {group: torch.optim.Adam([edit.parameters[group]], lr=RATES[group]) for group in config.train}
    training = ft.ObjectSteps(edit, optimizers)
    for step in range(steps):
        losses, info = styler.losses()
        loss = training.take(losses, info, step)
        if step % 25 == 0:
            print(f"step {step}: loss {loss:.3f}")
    training.close()

    styled, outside = edit.merged(), ~bear.mask
    assert torch.equal(styled.subset(outside).sh, scene.subset(outside).sh), "colours outside the object changed"
    ft.write_ply(f"{name}.ply", styled)
    before, after = (ft.render(gaussians, toy.test_cameras)[0].clamp(0, 1) for gaussians in (scene, styled))
    ft.write_png(Path(f"{name}.png"), ft.contact_sheet(before, after, prompt))
    print(f"Open {name}.png, and {name}.ply in a viewer of splats.")


if __name__ == "__main__":
    main(*sys.argv[1:3])

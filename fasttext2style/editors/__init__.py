"""Editors of images that follow an instruction; they know no 3D. One file each, behind `editor.ImageEditor`.

`editor` says what one is asked, `load` finds one by name; `local_edit` cuts the object out, batches, checks and pastes
back; diffusion/ has those on diffusers; tiny/ the weights of the embedded one.
"""

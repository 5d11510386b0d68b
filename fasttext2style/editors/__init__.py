"""Editors of images that follow an instruction; they know no 3D. One file each, behind `editor.ImageEditor`.

`editor` says what one is asked and loads it by name; `local_edit` cuts the object out, batches, checks and pastes back;
`instruct_pix2pix` is our own denoising loop; the others call pipelines of diffusers through `pipeline_editor`.
"""

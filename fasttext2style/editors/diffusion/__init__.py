"""Editors on diffusers: our own denoising loop for InstructPix2Pix, its pipelines for the others."""

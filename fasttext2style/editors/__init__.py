"""Editors of images that follow an instruction; they know no 3D. One file each, behind `editor.ImageEditor`."""

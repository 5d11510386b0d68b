"""Segmenters: what a text names, in images. One file each, behind `segmenter.Segmenter`; `load` finds one by name."""

"""nerfstudio's viewer around a live session: the panel, what is shown, what the mouse points at."""

"""nerfstudio's viewer around a live session: what is shown, and from where."""

"""What `ft2s` does to a run on disk."""

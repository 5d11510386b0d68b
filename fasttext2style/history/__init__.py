"""Every edit as a named step that can be undone, blended and dropped; stored as what changed."""

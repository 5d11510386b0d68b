"""Every edit as a named step that can be undone, blended and dropped; stored as what changed.

history.py undo, redo, drop, blend · delta.py what a step changed · state.py a scene with identities · steps.py which
steps lie on disk, read without torch · store.py writes them · checkpoint.py a checkpoint beside its history
"""

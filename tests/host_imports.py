"""What takes long to import, at once."""

from fasttext2style.plugin.host.quick_start import frames_without_source

with frames_without_source():
    import nerfstudio.scripts.train  # noqa: F401

    import fasttext2style.plugin.methods  # noqa: F401

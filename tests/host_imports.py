"""What takes long to import, at once; also what nerfstudio and this package import when a run begins."""

from tests.quick_imports import quick_imports

with quick_imports():
    import nerfstudio.scripts.train  # noqa: F401
    import sklearn.neighbors  # noqa: F401
    import torchmetrics.image  # noqa: F401

    import fasttext2style.guidance.offline.encoder
    import fasttext2style.plugin.methods
    import fasttext2style.scene.cpu.backend  # noqa: F401

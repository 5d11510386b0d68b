"""fasttext2style: type a sentence, and one object of a 3D Gaussian Splatting scene takes on that style.

trust/ one writer, nothing run unasked · terminal/ what is printed · scene/ Gaussians, cameras, files, renders ·
captures/ people's photographs, checked · toy/ a scene to try things on · guidance/ losses of images against texts ·
editors/ pictures changed by an instruction · selection/ which Gaussians are the object · history/ steps that can be
undone · evaluation/ metrics, reports · styling/ the loop that restyles an object · rounds/ edits in 2D, training in 3D
· live/ a session that answers clicks and sentences · panel/ its page · recipes/ runs as files · plugin/ nerfstudio, the
host · commands/, cli.py what `ft2s` does

For scripts: `import fasttext2style as ft`. The names in `__init__.pyi` beside this file are the public API, which keeps
its meaning from one minor version to the next; each is imported when it is first used. What else the folders hold may
change at any time.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

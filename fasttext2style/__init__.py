"""fasttext2style: type a sentence, and one object of a 3D Gaussian Splatting scene takes on that style.

scene/ Gaussians, cameras, files, renders · guidance/ losses of images against texts · editors/ pictures changed by an
instruction · selection/ which Gaussians are the object · styling/ the loop that restyles them · history/ steps that can
be undone · evaluation/ metrics, reports · rounds/ edits in 2D, training in 3D · plugin/ nerfstudio, the host · cli.py
"""

__version__ = "0.1.0"

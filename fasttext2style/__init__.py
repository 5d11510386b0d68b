"""fasttext2style: type a sentence, and one object of a 3D Gaussian Splatting scene takes on that style.

scene/ what a scene is and how to see it · guidance/ images and text in, loss out · selection/ which Gaussians are the
object · styling/ the loop that restyles them · evaluation/ pictures and reports · plugin/ nerfstudio, the host · cli.py
"""

__version__ = "0.1.0"

"""The object: a weight per Gaussian, and how to find it.

selection.py the weights · choice.py what a command line may ask for, choose.py does it · automatic.py, clicks.py,
colors.py, rectangle.py, shapes.py, text.py ways to select · lifting.py masks of views to Gaussians · algebra.py what is
made of selections · seen.py a scene as its cameras see it · ground.py, patches.py, neighbours.py what stands on what,
and what looks alike · noun.py what a sentence names · doubts.py what looks wrong · picking.py from a pixel to a point ·
segmenters/ what a text names, in images
"""

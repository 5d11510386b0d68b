"""The main job without a host: an object of a scene, a sentence, a batch of views, a loss.

editable.py the object as parameters of its own · views.py cameras that look at it · styler.py render, compare, anchor
steps.py one training step · gate.py holds soft rows back · growth.py densification inside the object
as_step.py what an edit changed, for the history · grade.py colours by hand · color_transfer.py those of a picture
smoothness.py hues without noise · evenness.py a pattern's lights and darks
"""

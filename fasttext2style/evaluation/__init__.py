"""An edit in numbers and pictures, and how long it took.

evaluate.py all metrics of an edit, settings.py what for · edit.py before and after, seen.py looked at in pieces ·
locality.py what changed outside, in files · halo.py what is seen of it · image_metrics.py, text_metrics.py,
warping.py numbers · graders.py networks that grade · footprints.py who shows where · looks.py, orbit.py pictures,
films · report.py, tables.py how they are written · results.py what every run leaves · outside.py what a run with a
history changed outside
"""

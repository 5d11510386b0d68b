"""Many sentences on one object: each is tried on the scene as it is, and kept as a step that is not in force.

settings.py what was asked · sentences.py which ones, from a file · trial.py one, and what a worker needs for it ·
keeping.py as a step, and found again · sweep.py all of them · sheet.py one picture of all
"""

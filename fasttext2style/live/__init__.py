"""A session on one scene: select, edit, undo, save, in any order, while others look at it. No viewer, no host.

session.py the queue of jobs · scene.py what jobs work on · host.py what shows the scene · progress.py how far a job is
jobs.py what can be asked for · action.py, style.py, rounds.py, grade.py, paint.py what is done with the object
surroundings.py what is around it · asked_color.py which colour a sentence asks for, and whether it came
style_picture.py the picture that styles are taken from · film.py a video · edit.py an edit on its way into the history
objects.py whose the edits are · original.py the scene before them · desk.py what somebody left · texts.py what is said
about it all
"""

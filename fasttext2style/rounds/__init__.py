"""Render, edit in 2D, train in 3D, in rounds, with everything kept.

schedule.py how much of what, in which order · modes.py restyle, replace, remove as data · views.py what rounds know of
each view · losses.py edited pictures against renders · edit_rounds.py the loop · folder.py what is kept, and resuming ·
snapshot.py the object as it was at the end of a round · page.py all rounds side by side in a browser
"""

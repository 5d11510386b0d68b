"""Render, edit in 2D, train in 3D, in rounds, with everything kept.

subject.py what rounds ask of what they edit · gaussian_subject.py an object made of Gaussians · field_subject.py a
radiance field · schedule.py how much of what, in which order · modes.py restyle, replace, remove as data · views.py
where the subject is in each view · targets.py what the editor is asked, and which pictures are trained towards ·
workers.py who edits them, packed.py on the way there · batches.py what a step looks at · losses.py edited pictures
against renders · edit_rounds.py the loop · growth.py densification in it · setup.py all put together · folder.py what
is kept · snapshot.py the state at the end of a round · records.py numbers · page.py all rounds in a browser
"""

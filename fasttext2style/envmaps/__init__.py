"""What surrounds a scene: panoramas of light, their files, and folders of them.

files.py reads and writes .hdr, .exr, .png, .jpg · formats.py what lies in each, radiance.py in .hdr · sphere.py
directions, sampling, crops, yaw, solid angles · resize.py other sizes, the same light · tones.py exposure and tone
curves · seam.py whether there is one · skies.py some to begin with, computed · folder.py a folder with captions, split
for training · around.py the one around a scene, by its history · harmony.py Gaussians tinted by its light · show.py
one on a sheet

Edited: gains.py a change of light, light_edit.py what all edits have in common · inversion.py optimises one by a
sentence, variables.py what is moved, looks.py what places look like, relit.py light and dark kept · by_editor.py asks
an image editor · editing.py from start to end, edit_settings.py how

Learnt from a folder: vae.py codes of panoramas, vae_training.py (vae_settings.py) · tuning.py what is said of them,
captions.py sentences, tuned_encoders.py from start to end (tuning_settings.py) · evaluating.py the paper's table
(evaluation_settings.py)
"""

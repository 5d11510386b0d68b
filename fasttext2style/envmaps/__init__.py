"""What surrounds a scene: panoramas of light, their files, and folders of them.

files.py reads and writes .hdr, .exr, .png, .jpg · formats.py what lies in each, radiance.py in .hdr · sphere.py
directions, sampling, crops, yaw, solid angles · resize.py other sizes, the same light · tones.py exposure and tone
curves · skies.py some to begin with, computed · folder.py a folder with captions, split for training · around.py the
one around a scene, by its history · show.py one on a sheet · gains.py a change of light, variables.py what moves it ·
inversion.py optimises that by a sentence · editing.py from start to end, edit_settings.py how

Learnt from a folder: vae.py codes of panoramas, vae_training.py (vae_settings.py) · tuning.py what is said of them,
captions.py sentences, tuned_encoders.py from start to end (tuning_settings.py) · evaluating.py the paper's table
(evaluation_settings.py)
"""

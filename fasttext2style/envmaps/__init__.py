"""What surrounds a scene: panoramas of light, their files, and folders of them.

files.py reads and writes .hdr, .exr, .png, .jpg · formats.py what lies in each, radiance.py in .hdr · sphere.py
directions, sampling, crops, yaw, solid angles · resize.py other sizes, the same light · tones.py exposure and tone
curves · skies.py some to begin with, computed · folder.py a folder with captions, split for training · around.py the
one around a scene, by its history · show.py one on a sheet · gains.py a change of light · inversion.py optimises it by
a sentence · editing.py that from start to end, edit_settings.py how
"""

"""Photographs with cameras, as people have them: brought to a plain form, or refused in a sentence, by headers alone.

checks.py what is wrong with a capture, said before anything is computed · plain.py a capture as nerfstudio's parser
reads it · transforms.py transforms.json as it lies on the disk · names.py where the files are that it names ·
folders.py what a folder without one is · photographs.py headers, pixels, sizes · masks.py whose they are and what is
white · cameras.py lenses and poses · points.py what a reconstruction starts from · conventions.py whether the poses
look at it · around.py, from_scene.py views of a scene that came without photographs, write.py as a capture ·
style_pictures.py a picture of any kind, to take a style from
"""

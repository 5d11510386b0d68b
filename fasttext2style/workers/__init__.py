"""Pieces of work by one tool in this process, or by several, each in a process or on a machine of its own.

choice.py what --workers says · pieces.py who gets what, again if need be · in_process.py a crew of one, here ·
hiring.py, ray_crew.py several, on Ray, whose files lie in ray_folder.py · worker.py one of these
"""

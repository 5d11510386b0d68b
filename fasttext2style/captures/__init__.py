"""Photographs with cameras, as people have them.

checks.py what is wrong with a capture, said before anything is computed
"""

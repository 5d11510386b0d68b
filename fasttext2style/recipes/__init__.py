"""Recipes: YAML documents that name a method and the settings in which it differs from its defaults.

recipe.py reads one and turns it into the words of a command line · written.py writes what a run was set to · paths.py
makes paths absolute · settings.py compares settings with a method's own config classes · values.py single values ·
plain_yaml.py the file format · methods.py, shipped.py finding things by name. Knows no host: a method is a tree of
dataclasses here.
"""

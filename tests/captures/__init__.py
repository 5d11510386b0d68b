"""Captures as people have them. table.py: what is accepted and refused, for the tests and for docs/captures.md."""

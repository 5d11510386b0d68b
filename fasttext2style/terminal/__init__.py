"""What a person reads on a terminal. Needs rich alone.

console.py sentences, warnings, errors · progress.py bars and phases
"""

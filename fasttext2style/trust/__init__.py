"""What keeps a run safe from its readers, and readers from a run: docs/trust.md says what is promised.

lock.py one writer per run · text.py what others wrote, made safe for where it is shown · sizes.py what files claim,
before anything is allocated · documents.py their JSON · names.py code that settings name
"""

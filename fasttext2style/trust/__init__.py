"""What keeps a run safe from its readers, and readers from a run: docs/trust.md says what is promised.

lock.py one writer per run · text.py what others wrote, made safe for where it is shown · sizes.py what files claim,
before anything is allocated · documents.py their JSON · objects.py YAML with objects in it, none of which
is run · own_runs.py which runs are this user's · typed.py paths and numbers as people type them ·
torch_files.py files of torch.save · visitors.py who may talk to a session
"""

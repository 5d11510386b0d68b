"""The host. nerfstudio and viser are imported here and nowhere else."""

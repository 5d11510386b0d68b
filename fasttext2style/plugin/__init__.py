"""The host: the only folder that knows nerfstudio and viser."""

"""One file per `ft2s` command: its arguments as a dataclass, and `run()`. Heavy imports happen inside `run`."""

"""Where viser's page draws fewer than 38 pictures a second it lowers the resolution of the scene, down to a fifth, and
there it stays: in software, on a slow screen, on a busy machine. What is served here keeps all of it.
"""

from __future__ import annotations

import gzip
from functools import lru_cache

_ADAPTIVE, _WHOLE = b"window.devicePixelRatio*(.2+.8*", b"window.devicePixelRatio*(1+0*"
"""Of viser 0.2.7's script (its sources: App.tsx, AdaptiveDpr), and what stands in its place."""


@lru_cache(maxsize=4)
def sharp(script: bytes, zipped: bool = False) -> bytes:
    """What viser would serve, which is any file of its page, without that; the same where there is nothing of it."""
    content = gzip.decompress(script) if zipped else script
    if _ADAPTIVE not in content:
        return script
    content = content.replace(_ADAPTIVE, _WHOLE)
    return gzip.compress(content) if zipped else content

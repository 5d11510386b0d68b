"""Who may talk to a live session: pages that the session itself has served, by an address of this machine.

A browser lets any page open a websocket to any address, and a name that a stranger owns may point at this machine (DNS
rebinding). What such pages cannot do is to lie about where they come from (Origin) and which name they used (Host).
Programs that are no browser send no Origin; whoever can start programs here needs no session to do harm.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


def names_of(bound_to: str) -> frozenset[str]:
    """The names by which visitors may ask for a server that listens at this host."""
    if bound_to.lower() in _THIS_MACHINE:
        return _THIS_MACHINE
    return _THIS_MACHINE | {bound_to.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}


def refusal(host: str | None, origin: str | None, names: Collection[str], any_ip: bool) -> str:
    """Why a request is refused, in words; empty if it is not.

    Args:
        host: the header Host.
        origin: the header Origin, None without one.
        names: of this server.
        any_ip: addresses in numbers are names of it, too: they cannot be given to somebody else.
    """
    asked = _parts(f"//{host or ''}")
    if asked is None or not (asked[0] in names or (any_ip and _is_ip(asked[0]))):
        return f"This session is not at {host!r}: use the address that it printed, or a tunnel (ssh -L)."
    if origin is not None and _parts(origin) != asked:
        return f"A page of {origin!r} may not use this session."
    return ""


def _parts(address: str) -> tuple[str, int | None] | None:
    """Host and port; None if it has none, as the Origin "null"."""
    try:
        parts = urlsplit(address)
        return (parts.hostname.lower(), parts.port or {"https": 443}.get(parts.scheme, 80)) if parts.hostname else None
    except ValueError:
        return None


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

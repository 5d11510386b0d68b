"""Weights that must come from somewhere: a file, a cache, or one short look at the network."""

from __future__ import annotations

import threading
import urllib.request


def reachable(url: str, seconds: float = 2.0) -> bool:
    """Whether `url` can be had: a server (through the proxy, if there is one) says yes within `seconds`.

    Asked before a library downloads: without a network, their retries take up to 45 seconds and end in a stack trace.
    """
    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
        except (OSError, ValueError):  # no route, no such host, a refusal (HTTPError), or no URL at all
            return
        else:
            answered.set()

    # In a thread, for looking up a name knows no time limit.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()

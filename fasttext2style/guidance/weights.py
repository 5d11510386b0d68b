"""Weights that must come from somewhere: a file, a cache, or one short look at the network."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request


def reachable(url: str, seconds: float = 2.0) -> bool:
    """Whether a server answers at `url` within `seconds`, proxies included.

    Asked before a library downloads: without a network, their retries take up to 45 seconds and end in a stack trace.
    """
    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
        except urllib.error.HTTPError:
            answered.set()  # a refusal is an answer
        except (OSError, ValueError):
            return
        else:
            answered.set()

    # In a thread, for looking up a name knows no time limit.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()

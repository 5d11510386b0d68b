"""viser 0.2.7 lets every page of the web connect. While the viewer opens, its server is told to look who comes.

The page that it serves is a little different from viser's, too: see sharp_page.py.
"""

from __future__ import annotations

import errno
import http
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import websockets.server
from nerfstudio.configs.base_config import ViewerConfig

from fasttext2style.plugin.host.sharp_page import sharp
from fasttext2style.trust.visitors import names_of, refusal


def check_address(host: str, port: int | None, may_be_taken: bool = False) -> None:
    """Raises ValueError for an address at which nothing can listen, or (unless it may be) that another program has."""
    try:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port or 0))
    except OverflowError:
        raise ValueError(f"--viewer.websocket-port is a number from 1 to 65535, got {port}.") from None
    except OSError as error:
        if may_be_taken and error.errno == errno.EADDRINUSE:
            return
        raise ValueError(
            f"The viewer cannot listen at {host}:{port or 'any port'} ({error.strerror or error}). Name another port, "
            "or leave --viewer.websocket-port out to get a free one; as host, 127.0.0.1 is this machine alone."
        ) from error


@contextmanager
def own_pages_only(config: ViewerConfig) -> Iterator[None]:
    """Servers that start inside serve their own pages alone (`trust.visitors`).

    viser hands no option through to the library whose server it is; that library's `serve` is wrapped meanwhile.
    """
    library: Any = websockets.server
    serve, host = library.serve, config.websocket_host
    names, any_ip = names_of(host), host in ("0.0.0.0", "::", "")

    def checking(handler: Any, *arguments: Any, process_request: Any = None, **options: Any) -> Any:
        async def check(path: str, headers: Any) -> Any:
            why = refusal(_one(headers, "Host"), _one(headers, "Origin"), names, any_ip or config.make_share_url)
            if why and not (config.make_share_url and _is_shared(headers)):
                return http.HTTPStatus.FORBIDDEN, {"Content-Type": "text/plain; charset=utf-8"}, why.encode()
            answer = None if process_request is None else await process_request(path, headers)
            if answer is None or not path.partition("?")[0].endswith(".js"):
                return answer
            status, about, script = answer
            return status, about, sharp(script, about.get("Content-Encoding") == "gzip")

        return serve(handler, *arguments, process_request=check, **options)

    library.serve = checking
    try:
        yield
    finally:
        library.serve = serve


def _one(headers: Any, name: str) -> str | None:
    """Two of one kind are none that could be believed."""
    found = headers.get_all(name)
    return None if not found else found[0] if len(found) == 1 else " and ".join(found)


def _is_shared(headers: Any) -> bool:
    """It came through the address that --viewer.make-share-url asks for, of viser's own relay."""
    host, origin = _one(headers, "Host") or "", _one(headers, "Origin")
    return host.endswith(".viser.studio") and origin in (None, f"https://{host}")

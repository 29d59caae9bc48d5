"""`serve`: the HTTP API without the page."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

from data.errors import UsageError
from ui.commands.page import free_port
from ui.console import err, print_json

KEY = "SECONDSIGHT_API_KEY"


def run(library: Path | None, host: str, port: int, as_json: bool) -> None:
    """Runs until Ctrl-C.

    Raises:
        UsageError: the port is taken, or others could reach the library without a key.
    """
    from data import settings as configuration

    key = os.environ.get(KEY, "")
    if not key and not _is_this_machine(host):
        raise UsageError(
            f"Listening on {host} shows the library to everyone who reaches this machine.",
            remedy=f"Set {KEY} to a secret that callers send, or leave --host out.",
        )
    folder = configuration.load(library=library).library
    free_port(host, port)
    url = f"http://{host}:{port}"
    if as_json:
        print_json({"url": url, "library": str(folder)})
    else:
        err().print(f"The API is at {url} (Ctrl-C ends it).", markup=False)
    from ui import api

    api.serve(folder, host, port, key)


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

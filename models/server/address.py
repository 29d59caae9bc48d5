"""Where a model server is, and whether an API key may be sent there."""

from __future__ import annotations

import ipaddress
import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from data.errors import UsageError

KEY_VARIABLE = "SECONDSIGHT_SERVER_KEY"
_NAMED = "servers.txt"  # in the cache: origins, one a line
_EXAMPLE = "Write it like server:http://localhost:8000/v1."


def checked_url(text: str) -> str:
    """The base URL, without a slash at its end; "/v1" is added when it has no path.

    Raises:
        UsageError: it is no http or https address, or holds a password, a query or a fragment.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise UsageError(f"{text!r} is not the address of a model server.", remedy=_EXAMPLE) from None
    if "@" in parts.netloc:  # never quoted: it would end up in logs and in the library's manifest
        raise UsageError(
            "The address of the model server holds a user name or password.",
            remedy=f"Leave it out and set {KEY_VARIABLE}.",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or port == 0:
        raise UsageError(f"{text!r} is not the address of a model server.", remedy=_EXAMPLE)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def model_and_url(text: str, default_url: str) -> tuple[str, str]:
    """MODEL or MODEL@URL -> (model id, base URL). Model ids may hold a lone @; a URL begins with http."""
    model, at, url = text.rpartition("@http")
    return (model, checked_url(f"http{url}")) if at else (text, default_url)


def api_key(url: str) -> str:
    """The key of the environment, "" when none is set.

    Raises:
        UsageError: it would cross the open network in clear text.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if key and url.startswith("http://") and not _is_near(urlsplit(url).hostname or ""):
        raise UsageError(f"{KEY_VARIABLE} is set and {url} is not encrypted.", remedy="Use https, or unset the key.")
    if not key.isascii() or not key.isprintable():
        raise UsageError(f"{KEY_VARIABLE} holds characters that no API key has.", remedy="Set it again.")
    return key


def remember(url: str, cache: Path) -> None:
    """Note that the user named this server: a library made with it may name it from now on."""
    origin = _origin(url)
    if is_loopback(url) or origin in _remembered(cache):
        return
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / _NAMED).open("a", encoding="utf-8") as file:
            file.write(f"{origin}\n")


def check_named(url: str, cache: Path) -> None:
    """A library may come from anyone, and frames, questions and the key go to the server: the user must have named it.

    Raises:
        UsageError: only the library names it, and it is not this machine.
    """
    if not is_loopback(url) and _origin(url) not in _remembered(cache):
        raise UsageError(
            f"This library names the model server {url}, which you have not named yourself.",
            remedy=f"If you trust it, set SECONDSIGHT_MODELS=server:{url}.",
        )


def _remembered(cache: Path) -> list[str]:
    try:
        return (cache / _NAMED).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_near(host: str) -> bool:
    """This machine, its private network, or a bare name that only a local resolver knows (a container's)."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host

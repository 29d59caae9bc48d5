"""LanceDB, imported without the half of it that a library on disk never calls."""

from __future__ import annotations

import importlib.util
import sys
import threading
from types import ModuleType

# The client of catalogue servers. Its package builds 360 checked calls when it is imported, .5 s of the 1.15 s
# that LanceDB takes, of which LanceDB itself wants only the subpackage `models`.
_CATALOGUE = "lance_namespace_urllib3_client"
_IMPORTING = threading.Lock()


def lancedb() -> ModuleType:
    """The module. Whoever wants the catalogue's client itself imports it whole, as ever."""
    with _IMPORTING:
        spec = None if _CATALOGUE in sys.modules else importlib.util.find_spec(_CATALOGUE)
        if spec is not None:
            sys.modules[_CATALOGUE] = importlib.util.module_from_spec(spec)  # not executed: a place to find `models` in
        try:
            import lancedb
        finally:
            if spec is not None:
                sys.modules.pop(_CATALOGUE, None)
    return lancedb

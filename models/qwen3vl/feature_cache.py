"""Vision features kept on the device between queries: re-ranking the same clips again skips the vision tower."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


class FeatureCache:
    """Least recently used first out. Args: limit_bytes: most that is kept; 0 keeps nothing."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit, self._held = limit_bytes, 0
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def get(self, key: str) -> Any | None:
        if not key or key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: str, features: Any) -> None:
        if not key or key in self._kept or features.nbytes > self._limit:
            return
        # A clone, since the tensor may be a view of a whole batch that would stay in memory with it.
        self._kept[key] = features.clone()
        self._held += features.nbytes
        while self._held > self._limit:
            _, gone = self._kept.popitem(last=False)
            self._held -= gone.nbytes

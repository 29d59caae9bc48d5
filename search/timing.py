"""Milliseconds a stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timing:
    """Call it with a stage's name round its work; rounds of the same stage are summed."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._spent: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._spent[stage] = self._spent.get(stage, 0.0) + (time.perf_counter() - started) * 1000

    def total(self) -> dict[str, float]:
        spent = {**self._spent, "total": (time.perf_counter() - self._started) * 1000}
        return {stage: round(ms, 2) for stage, ms in spent.items()}

"""What texts are made of - pictures, sound, subtitles - decoded in processes of their own, as the frames are."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from data.errors import CorruptMedia, MediaError, MissingMedia
from data.media.audio import Sound
from data.types import Frame, MediaItem, TextSpan
from indexer import wire
from indexer.process import LEAST_BUDGET_S, Decoder, Lost


class LostByChance(MissingMedia):
    """The process was lost, not through the file: that could not be had now, like one on a drive that is away."""


class Silent(LostByChance):
    """It was given up, by chance perhaps. To wait again costs minutes: who catches it says when that is done."""


class Apart:
    """Any number of threads may ask; each has a process of its own meanwhile. Closing it ends them.

    What it gives and raises is what `data.media` does; a process that was lost is a CorruptMedia or LostByChance.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._lock = threading.Lock()
        self._all: list[Decoder] = []
        self._idle: list[Decoder] = []

    def pictures(
        self,
        item: MediaItem,
        *,
        short_side: int,
        rate_fps: float | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> Iterator[Frame]:
        """`MediaSource.frames`; of a still its picture."""
        request = {"rate_fps": rate_fps, "start_s": start_s, "end_s": end_s, "short_side": short_side}
        with self._asked(item, {"do": "pictures", **request}) as answers:
            for message, rgb in answers:
                if rgb is None or rgb.ndim != 3:
                    raise wire.BadMessage("no picture")
                time_s, duration_s = (None if (s := message[name]) is None else float(s) for name in _TIMES)
                yield Frame(time_s, duration_s, rgb)

    def sound(self, item: MediaItem, *, rate_hz: int) -> Iterator[Sound]:
        """`data.media.audio.sound`."""
        request = {"do": "sound", "rate_hz": rate_hz}
        # Minutes of sound come in one message.
        with self._asked(item, request, silence_s=LEAST_BUDGET_S) as answers:
            for message, samples in answers:
                start_s = float(message["start_s"])
                if samples is None or samples.ndim != 1 or start_s < 0:
                    raise wire.BadMessage("no sound")
                yield Sound(start_s, np.nan_to_num(samples))

    def subtitles(self, item: MediaItem) -> list[TextSpan]:
        """`data.media.subtitles.embedded`."""
        duration_s = item.info.duration_s or 0.0
        spans = []
        # Where lines are far apart a whole file is read between two of them.
        with self._asked(item, {"do": "subtitles", "duration_s": duration_s}, silence_s=LEAST_BUDGET_S) as answers:
            for message, _ in answers:
                start_s, end_s = float(message["start_s"]), float(message["end_s"])
                if not 0 <= start_s <= end_s <= duration_s:
                    raise wire.BadMessage(f"a line from {start_s} to {end_s} s")
                language = str(message["language"])
                spans.append(TextSpan("speech", str(message["text"]), start_s, end_s, language, source="embedded"))
        return spans

    @contextmanager
    def _asked(
        self, item: MediaItem, request: dict[str, object], silence_s: float | None = None
    ) -> Iterator[Iterator[tuple[wire.Message, Any]]]:
        with self._lock:
            if not self._idle:
                self._all.append(Decoder())
                self._idle.append(self._all[-1])
            decoder = self._idle.pop()
        whole = {**request, "path": wire.path_out(item.path), "max_pixels": self._max_pixels}
        try:
            with closing(decoder.ask(whole, media_s=item.info.duration_s or 0.0, silence_s=silence_s)) as answers:
                yield _until_end(answers)
        except Lost as error:
            if error.silent:
                raise Silent(str(error)) from None
            if error.by_chance:
                raise LostByChance(f"{error}; the next run tries again") from None
            raise CorruptMedia(str(error)) from None
        except wire.NONSENSE as error:
            raise CorruptMedia(str(Lost.by(error))) from None
        finally:
            with self._lock:
                self._idle.append(decoder)

    def close(self) -> None:
        for decoder in self._all:
            decoder.end()

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_TIMES = ("time_s", "duration_s")


def _until_end(
    answers: Generator[tuple[wire.Message, Any], None, None],
) -> Iterator[tuple[wire.Message, Any]]:
    for message, payload in answers:
        if message["is"] == "failed":
            raise (MissingMedia if message.get("unreadable") else MediaError)(str(message["reason"]))
        if message["is"] != "end":
            yield message, payload

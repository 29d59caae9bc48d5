"""The texts of media that are already in the library: what is said, what is written, and what a model sees.

A stage of its own behind the vectors: a film is found by its pictures as soon as they are in, each medium's texts are
written whole or not at all, and what a run did not come to, or was not asked for, the next one does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from data.errors import MediaError, MissingMedia, ModelError
from data.settings import Settings
from data.store.base import Store
from data.types import MediaItem, TextChannel, TextSpan
from indexer.apart import Apart, Silent
from indexer.captions import caption_media
from indexer.crops import embed_crops
from indexer.discover import Failure
from indexer.embed_texts import embed_captions
from indexer.listen import is_away, is_done, speech, stage_of
from indexer.read_screen import written
from models.base import ModelSet
from models.cache import CachedCaptioner, ResultCache, keep_texts, kept_texts, key_of, open_cache

WRITE_EVERY_MEDIA, WRITE_EVERY_S = 64, 10.0
GAVE_UP = "gave up: "  # before the stage of a text that was waited for in vain
Tell = Callable[[str, str, int, int], None]  # (stage, path, media done, media in all)


@dataclass(frozen=True, slots=True)
class Enriched:
    """media: how many got texts now; spans: how many; cropped: stills seen in parts; warnings: what was not whole."""

    media: int
    spans: int
    cropped: int
    warnings: tuple[Failure, ...]
    interrupted: bool


def enrich(
    store: Store,
    paths: Sequence[Path],
    models: ModelSet,
    settings: Settings,
    *,
    listen: bool,
    read: bool,
    crop: bool = False,
    again: bool = False,
    tell: Tell | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Enriched:
    """Bring the texts of the media below `paths` up to date. Subtitles are always read; models only where asked.

    A profile that has a captioner is asked for captions; when it cannot answer, that is a warning and the library is
    none the worse: `indexer.captions.caption_library` takes up there.

    Args:
        listen: transcribe what has no subtitles. read: read what is written. crop: look at parts of stills.
        again: wait once more for texts that were given up.

    Raises:
        MissingExtra, WeightsUnavailable: the model asked for is not here.
    """
    with open_cache(settings) as cache, Apart(settings.max_pixels) as files:
        run = _Run(store, models, settings, files, cache, tell, should_stop or (lambda: False))
        whole = not crop or run.crop(paths)
        whole = whole and run.listen_and_read(paths, listen=listen, read=read, again=again) and run.describe(paths)
        told = None if tell is None else partial(tell, "describe")
        whole = whole and embed_captions(store, models.joint, tell=told, should_stop=should_stop)
        return Enriched(run.media, run.spans, run.cropped, tuple(run.warnings), not whole)


@dataclass(slots=True)
class _Run:
    """What a run is asked with, and what it did so far."""

    store: Store
    models: ModelSet
    settings: Settings
    files: Apart
    cache: ResultCache
    tell: Tell | None
    stop: Callable[[], bool]
    media: int = 0
    spans: int = 0
    cropped: int = 0
    warnings: list[Failure] = field(default_factory=list)
    _finished: dict[TextChannel, list[tuple[str, Sequence[TextSpan], str]]] = field(default_factory=dict)
    _wrote_s: float = field(default_factory=time.monotonic)

    def listen_and_read(self, paths: Sequence[Path], *, listen: bool, read: bool, again: bool) -> bool:
        """False when it was stopped."""
        todo = list(_missing(self.store, paths, self.models, listen=listen, read=read, again=again))
        try:
            return self._listen_and_read(todo, listen)
        finally:
            self._write()  # what is finished is kept, whatever ends it

    def _listen_and_read(self, todo: Sequence[tuple[MediaItem, TextChannel, str]], listen: bool) -> bool:
        for done, (item, channel, stage) in enumerate(todo):
            if self.stop():
                return False
            if self.tell is not None:
                self.tell("listen" if channel == "speech" else "read", str(item.path), done, len(todo))
            new = True
            try:
                spans = self._heard(item, listen) if channel == "speech" else self._read(item)
            except Silent as error:
                told = f"no new {channel} text: {error}; --retry-failed tries again"
                self.warnings.append(Failure(str(item.path), told))
                new, stage = False, f"{GAVE_UP}{stage}"
            except (MissingMedia, OSError) as error:
                self.warnings.append(Failure(str(item.path), f"no {channel} text: {error}"))
                continue
            except MediaError as error:  # of these bytes for good: it is done with
                self.warnings.append(Failure(str(item.path), f"no {channel} text: {error}"))
                new = False
            if not new:  # what was there, of a former model or file of subtitles, is better than nothing
                spans = self.store.texts(item.media_id, (channel,))
            if spans is None:
                return False
            self._finished.setdefault(channel, []).append((item.media_id, spans, stage))
            late = time.monotonic() - self._wrote_s > WRITE_EVERY_S
            if late or sum(map(len, self._finished.values())) >= WRITE_EVERY_MEDIA:
                self._write()
            if new:
                self.media += bool(spans)
                self.spans += len(spans)
        return True

    def _write(self) -> None:
        """One commit for many media: most films of a folder have no subtitles, and to note that takes no time."""
        finished, self._finished = self._finished, {}
        for channel, batch in finished.items():
            self.store.put_many_texts(channel, batch)
        self._wrote_s = time.monotonic()

    def _heard(self, item: MediaItem, listen: bool) -> list[TextSpan] | None:
        spans, told = speech(item, self.models.transcriber if listen else None, self.files, self.stop, self.cache)
        self.warnings += [Failure(str(item.path), reason) for reason in told]
        return spans

    def _read(self, item: MediaItem) -> list[TextSpan] | None:
        reader = self.models.text_reader
        assert reader is not None, "only then is a screen missing"
        key = key_of("screen", item.media_id, reader.revision)
        spans = kept_texts(self.cache, key)
        if spans is None:
            spans, _ = written(item, reader, self.files, self.stop)
            if spans is not None:
                keep_texts(self.cache, key, spans)
        return spans

    def crop(self, paths: Sequence[Path]) -> bool:
        """False when it was stopped."""
        told = None if self.tell is None else partial(self.tell, "crop")
        items = _below(self.store, paths)
        done = embed_crops(self.store, items, self.models.joint, self.files, tell=told, should_stop=self.stop)
        if done is None:
            return False
        self.cropped, failed = done
        self.warnings += failed
        return True

    def describe(self, paths: Sequence[Path]) -> bool:
        """False when it was stopped."""
        below = _below(self.store, paths) if self.models.captioner is not None else []
        if self.models.captioner is None or not below:
            return True
        try:
            described = caption_media(
                self.store, below, CachedCaptioner(self.models.captioner, self.cache), self.settings,
                language=self.settings.caption_language,
                on_progress=None if self.tell is None else partial(self.tell, "describe"), should_stop=self.stop,
            )  # fmt: skip
        except ModelError as error:
            self.warnings.append(Failure(str(below[0].path), f"not all captions could be made: {error}"))
            return True
        self.warnings += [Failure(failure.path, f"no caption: {failure.reason}") for failure in described.failed]
        self.media += described.media
        self.spans += described.spans
        return not described.interrupted


def _below(store: Store, paths: Sequence[Path]) -> list[MediaItem]:
    roots = {os.path.abspath(path) for path in paths}
    return [
        item
        for item in store.media()
        if any(str(up) in roots for path in (item.path, *item.copies) for up in (path, *path.parents))
    ]


def _missing(
    store: Store, paths: Sequence[Path], models: ModelSet, *, listen: bool, read: bool, again: bool
) -> Iterable[tuple[MediaItem, TextChannel, str]]:
    """(medium, channel, the stage to be noted then) of each text that is not there yet."""

    def noted(channel: TextChannel) -> str:
        stage = done.get(channel, "")
        return "" if again and stage.startswith(GAVE_UP) else stage.removeprefix(GAVE_UP)

    stages = store.stages()
    for item in _below(store, paths):
        done = stages.get(item.media_id, {})
        if item.info.kind == "video":
            wanted = stage_of(item, models.transcriber if listen else None)
            before = noted("speech")
            if not is_done(before, wanted) and not is_away(item, before, wanted):
                yield item, "speech", wanted
        if read and models.text_reader is not None and noted("screen") != models.text_reader.revision:
            yield item, "screen", models.text_reader.revision

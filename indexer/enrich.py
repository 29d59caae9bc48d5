"""The texts of media that are already in the library: what is said, what is written, and what a model sees.

A stage of its own behind the vectors: a film is found by its pictures as soon as they are in, each medium's texts are
written whole or not at all, and what a run did not come to, or was not asked for, the next one does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from data.errors import MediaError, ModelError
from data.settings import Settings
from data.store.base import Store
from data.types import MediaItem, TextChannel, TextSpan
from indexer.captions import caption_media
from indexer.discover import Failure
from indexer.listen import is_done, speech, stage_of
from indexer.read_screen import written
from models.base import ModelSet
from models.cache import CachedCaptioner, open_cache

Tell = Callable[[str, str, int, int], None]  # (stage, path, media done, media in all)


@dataclass(frozen=True, slots=True)
class Enriched:
    """media: how many got texts now; spans: how many; warnings: what was not whole."""

    media: int
    spans: int
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
    tell: Tell | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Enriched:
    """Bring the texts of the media below `paths` up to date. Subtitles are always read; models only where asked.

    A profile that has a captioner is asked for captions; when it cannot answer, that is a warning and the library is
    none the worse: `indexer.captions.caption_library` takes up there.

    Args:
        listen: transcribe what has no subtitles. read: read what is written.

    Raises:
        MissingExtra, WeightsUnavailable: the model asked for is not here.
    """
    stop = should_stop or (lambda: False)
    transcriber = models.transcriber if listen else None
    reader = models.text_reader if read else None
    todo = list(_missing(store, paths, models, listen=listen, read=read))
    media = spans_written = 0
    warnings: list[Failure] = []
    for done, (item, channel, stage) in enumerate(todo):
        if stop():
            return Enriched(media, spans_written, tuple(warnings), True)
        if tell is not None:
            tell("listen" if channel == "speech" else "read", str(item.path), done, len(todo))
        spans: list[TextSpan] | None
        try:
            if channel == "speech":
                spans, told = speech(item, transcriber, stop)
                warnings += [Failure(str(item.path), reason) for reason in told]
            else:
                assert reader is not None
                spans, _ = written(item, reader, settings.max_pixels, stop)
        except (MediaError, OSError) as error:
            warnings.append(Failure(str(item.path), f"no {channel} text: {error}"))
            continue
        if spans is None:
            return Enriched(media, spans_written, tuple(warnings), True)
        store.put_texts(item.media_id, channel, spans, stage=stage)
        media += bool(spans)
        spans_written += len(spans)
    below = _below(store, paths) if models.captioner is not None else []
    if models.captioner is None or not below:
        return Enriched(media, spans_written, tuple(warnings), False)
    try:
        with open_cache(settings) as cache:
            described = caption_media(
                store, below, CachedCaptioner(models.captioner, cache), settings, language=settings.caption_language,
                on_progress=None if tell is None else partial(tell, "describe"), should_stop=stop,
            )  # fmt: skip
    except ModelError as error:
        warnings.append(Failure(str(below[0].path), f"not all captions could be made: {error}"))
        return Enriched(media, spans_written, tuple(warnings), False)
    warnings += [Failure(failure.path, f"no caption: {failure.reason}") for failure in described.failed]
    return Enriched(media + described.media, spans_written + described.spans, tuple(warnings), described.interrupted)


def _below(store: Store, paths: Sequence[Path]) -> list[MediaItem]:
    roots = {os.path.abspath(path) for path in paths}
    return [
        item for item in store.media() if str(item.path) in roots or any(str(up) in roots for up in item.path.parents)
    ]


def _missing(
    store: Store, paths: Sequence[Path], models: ModelSet, *, listen: bool, read: bool
) -> Iterable[tuple[MediaItem, TextChannel, str]]:
    stages = store.stages()
    for item in _below(store, paths):
        done = stages.get(item.media_id, {})
        if item.info.kind == "video":
            wanted = stage_of(item, models.transcriber if listen else None)
            if not is_done(done.get("speech", ""), wanted):
                yield item, "speech", wanted
        if read and models.text_reader is not None and done.get("screen") != models.text_reader.revision:
            yield item, "screen", models.text_reader.revision

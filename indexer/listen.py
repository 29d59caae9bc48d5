"""What is said in a video: subtitles where there are any, a speech model where it is asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from data.errors import MediaError, MissingMedia
from data.media.subtitles import beside, spans_of
from data.types import MediaItem, TextSpan
from indexer.apart import Apart
from models.base import SPEECH_RATE_HZ, Transcriber
from models.cache import ResultCache, keep_texts, kept_texts, key_of

NOT_LISTENED = "none"


def stage_of(item: MediaItem, transcriber: Transcriber | None) -> str:
    """How the speech of a medium would be had now: by whom, and what lies beside the file and its copies."""
    beside_it = []
    for path in (item.path, *item.copies):
        for file in beside(path):
            try:
                stat = file.stat()
            except OSError:
                continue
            beside_it.append((file.name, f"{os.fsencode(file.name)!r} {stat.st_size} {stat.st_mtime_ns}\n"))
    return f"{transcriber.revision if transcriber is not None else NOT_LISTENED} {_digest(beside_it)}"


def _digest(beside_it: list[tuple[str, str]]) -> str:
    """In order of names: which of several copies comes first may change when a drive is away."""
    text = "".join(line for _, line in sorted(beside_it))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def is_done(stage: str, wanted: str) -> bool:
    """A library that was listened to stays so when a later run does not ask for it."""
    by, _, beside_it = stage.partition(" ")
    wanted_by, _, wanted_beside = wanted.partition(" ")
    return beside_it == wanted_beside and by != "" and wanted_by in (by, NOT_LISTENED)


def is_away(item: MediaItem, stage: str, wanted: str) -> bool:
    """There were subtitles beside a path that cannot be seen now (a drive that is not mounted), and are none here."""
    none = _digest([])
    had, has = (each.partition(" ")[2] for each in (stage, wanted))
    return had not in ("", none) and has == none and not all(path.exists() for path in (item.path, *item.copies))


def speech(
    item: MediaItem, transcriber: Transcriber | None, files: Apart, stop: Callable[[], bool], cache: ResultCache
) -> tuple[list[TextSpan] | None, list[str]]:
    """(spans in order, what was wrong); spans None when it was stopped half way.

    Args:
        cache: a film that was heard once, in whatever library, is not listened to again.

    Subtitles were made by people or cost something to make: where there are any, the model is not asked.

    Raises:
        MissingMedia: the file is not there.
    """
    duration_s = item.info.duration_s or 0.0
    spans, told = spans_of(item.path, duration_s, lambda *_: files.subtitles(item), item.copies)
    if spans or transcriber is None or not item.info.has_audio:
        return spans, told
    key = key_of("speech", item.media_id, transcriber.revision)
    kept = kept_texts(cache, key)
    if kept is not None:
        return kept, told
    language: str | None = None
    try:
        for piece in files.sound(item, rate_hz=SPEECH_RATE_HZ):
            if stop():
                return None, told
            heard = transcriber.transcribe(piece.samples, start_s=piece.start_s, language=language)
            spans += [span for span in heard if (span.start_s or 0.0) < duration_s]
            if heard and language is None:
                language = heard[0].language or None  # found once for a film: a quiet piece is easily taken for another
    except MissingMedia:
        raise
    except MediaError as error:
        return spans, [*told, str(error)]
    keep_texts(cache, key, spans)
    return spans, told

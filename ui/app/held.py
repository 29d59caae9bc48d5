"""What the server process holds open: the library, its models, and the pictures it was asked for lately.

The page's script runs once a click and in many threads; everything slow lives here and is shared. The HTTP API stands
on it without the page, so nothing here is Streamlit's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from data import settings as configuration
from data.errors import MissingMedia, ModelError, SecondSightError, UsageError
from data.settings import Settings
from data.store.manifest import read_manifest
from data.types import Box, MediaItem
from ui.app.facets import Facets
from ui.app.facets import facets as summed
from ui.talking import profile_of

if TYPE_CHECKING:
    from models.base import ModelSet
    from search.ask import Reply
    from search.engine import SearchEngine
    from search.scope import Scope

_engine_lock = threading.Lock()  # an engine answers one thread at a time
_decoding = threading.BoundedSemaphore(4)  # pictures decoded at once, whatever number of thumbnails is asked for
_loading = threading.Lock()
_KEPT_PICTURES = 600  # about 30 kB each
_FACETS_KEPT_S = 60


def settings() -> Settings:
    """Those of the command line: it hands the library over in the environment."""
    return configuration.load()


@contextmanager
def engine() -> Iterator[SearchEngine]:
    """The engine of the library, with its models warm.

    Raises:
        LibraryError, ModelError: as opening finds it; nothing is kept then, so the next try looks again.
    """
    where = settings().library
    with _engine_lock:
        yield _open(str(where), read_manifest(where).created_at)


@lru_cache(maxsize=2)
def _open(library: str, created_at: str) -> SearchEngine:
    """created_at: a library that was made anew is opened anew."""
    from search.engine import SearchEngine

    opened = SearchEngine(Path(library), settings=settings())
    opened.search("warm")  # the first question pays for loading; better now than later
    return opened


def ask(question: str, scope: Scope | None, *, by_model: bool = True) -> Reply:
    """An answer out of the library, by the model that talks about it, where there is one.

    Args:
        by_model: whether to ask it; otherwise the library's own sentences are the answer.

    Raises:
        LibraryError, ModelError: the library or the model cannot be used.
    """
    from search.ask import answered, prepared, quoted

    answerer = _talking().answerer if by_model else None
    with engine() as held:
        if answerer is None:
            return quoted(held, question, scope)
        found = prepared(held, question, scope)
    return answered(found, answerer)  # others may search while the model writes


def lacks_model() -> str:
    """What keeps a model from answering, in a sentence; "" where nothing is known to.

    Raises:
        LibraryError: there is no library.
    """
    try:
        return "" if _talking().answerer is not None else "No language model is set up here."
    except (ModelError, UsageError) as error:
        return str(error)


def can_point() -> bool:
    """Whether a model here can say where in a picture something is."""
    return _talking().grounder is not None


@lru_cache(maxsize=64)
def pointed_jpeg(media_id: str, at_s: float | None, words: str) -> tuple[bytes, int]:
    """A picture of a medium with boxes round what the words name, and how many.

    Raises:
        MediaError: it cannot be decoded any more. ModelError: the model cannot be had.
    """
    from data.media import picture
    from ui.marks import marked_jpeg

    item, grounder = media_item(media_id), _talking().grounder
    if item is None or grounder is None:
        raise MissingMedia("It is no longer in this library.")
    rgb = picture(item.path, at_s=at_s, max_pixels=settings().max_pixels)
    boxes = grounder.where(words, rgb)
    return marked_jpeg(rgb, boxes), len(boxes)


def _talking() -> ModelSet:
    with _loading:
        return _models_of(profile_of(settings()))


@lru_cache(maxsize=2)
def _models_of(profile: str) -> ModelSet:
    from models.registry import load

    return load(profile, settings())


@lru_cache(maxsize=2)
def _reader(library: str, created_at: str):  # type: ignore[no-untyped-def]
    from data.store.lance import open_reader

    return open_reader(Path(library))


def reader():  # type: ignore[no-untyped-def]
    """The library's store, to read; needs no models.

    Raises:
        LibraryError: as opening finds it.
    """
    where = settings().library
    return _reader(str(where), read_manifest(where).created_at)


def facets() -> Facets:
    """What the library can be narrowed by; nothing while there is no library."""
    where = settings().library
    try:
        return _facets(str(where), read_manifest(where).created_at, int(time.monotonic() // _FACETS_KEPT_S))
    except SecondSightError:
        return summed(())


@lru_cache(maxsize=2)
def _facets(library: str, created_at: str, minute: int) -> Facets:
    """Kept for a minute: it reads a row of every medium."""
    return summed(reader().media())


def media_item(media_id: str) -> MediaItem | None:
    """The medium the library holds under this id."""
    return next(iter(reader().media([media_id])), None)


def still_jpeg(item: MediaItem, at_s: float | None, side: int) -> bytes:
    """A picture of a medium at a second, at most `side` pixels wide and high.

    Raises:
        MediaError: it cannot be decoded any more.
    """
    return _still_jpeg(item.media_id, str(item.path), at_s, side, settings().max_pixels)


@lru_cache(maxsize=_KEPT_PICTURES)
def _still_jpeg(media_id: str, path: str, at_s: float | None, side: int, max_pixels: int) -> bytes:
    from data.media import thumbnail_jpeg

    with _decoding:
        return thumbnail_jpeg(Path(path), at_s, side=side, max_pixels=max_pixels)


def part_jpeg(item: MediaItem, part: Box) -> bytes:
    """A still with a frame round a part of it.

    Raises:
        MediaError: it cannot be decoded any more.
    """
    return _part_jpeg(str(item.path), part, settings().max_pixels)


@lru_cache(maxsize=64)
def _part_jpeg(path: str, part: Box, max_pixels: int) -> bytes:
    from data.media import picture
    from ui.marks import marked_jpeg

    with _decoding:
        return marked_jpeg(picture(Path(path), max_pixels=max_pixels), [part])

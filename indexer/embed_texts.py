"""The vectors of captions: made where captions have none, or those of another model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from data.settings import Settings
from data.store.base import MEANING, Store
from data.types import TextSpan
from models.base import TextEmbedder

TEXTS_AT_ONCE = 512
Tell = Callable[[str, int, int], None]  # (path or "", media done, media in all)


def embed_captions(
    store: Store,
    model: TextEmbedder,
    *,
    tell: Tell | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> bool:
    """Bring the vectors of all captions up to date; False when it was stopped."""
    made_by = model.identity.of_words
    done = store.stages()
    todo = [media_id for media_id, stages in done.items() if stages.get("caption") and stages.get(MEANING) != made_by]
    waiting: list[tuple[str, list[TextSpan]]] = []
    for number, media_id in enumerate(todo, start=1):
        waiting.append((media_id, store.texts(media_id, ("caption",))))
        if sum(len(spans) for _, spans in waiting) < TEXTS_AT_ONCE and number < len(todo):
            continue
        texts = [span.text for _, spans in waiting for span in spans]
        vectors = []  # a film alone may have many times as many
        for first in range(0, max(1, len(texts)), TEXTS_AT_ONCE):
            if should_stop is not None and should_stop():
                return False
            if tell is not None:
                tell("", number - len(waiting), len(todo))
            vectors.append(model.embed_texts(texts[first : first + TEXTS_AT_ONCE]))
        every, batch, first = np.concatenate(vectors), [], 0
        for each, spans in waiting:
            batch.append((each, spans, done[each]["caption"], every[first : first + len(spans)]))
            first += len(spans)
        store.put_captions(batch, model=made_by)
        waiting = []
    return True


def embed_library(library: Path, settings: Settings) -> None:
    """`embed_captions` with the models that the library was made with.

    Raises:
        LibraryError: it cannot be written. ModelError: its models cannot be had.
    """
    from data.store.lance import create_or_open
    from data.store.manifest import read_manifest
    from models import registry

    manifest = read_manifest(library)
    models = registry.load(registry.of_library(manifest.profile, settings), settings)
    identities = {channel: identity.as_dict() for channel, identity in models.identities().items()}
    with create_or_open(library, identities, profile=manifest.profile) as store:
        embed_captions(store, models.joint)

"""The vectors of captions: made where captions have none, or those of another model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from data.settings import Settings
from data.store.base import MEANING, Store
from models.base import TextEmbedder

MEDIA_AT_ONCE = 64
Tell = Callable[[str, int, int], None]  # (path or "", media done, media in all)


def embed_captions(
    store: Store, model: TextEmbedder, *, tell: Tell | None = None, should_stop: Callable[[], bool] | None = None
) -> bool:
    """Bring the vectors of all captions up to date; False when it was stopped."""
    made_by = model.identity.of_words
    done = store.stages()
    todo = [media_id for media_id, stages in done.items() if stages.get("caption") and stages.get(MEANING) != made_by]
    for start in range(0, len(todo), MEDIA_AT_ONCE):
        if should_stop is not None and should_stop():
            return False
        if tell is not None:
            tell("", start, len(todo))
        some = todo[start : start + MEDIA_AT_ONCE]
        captions = [store.texts(media_id, ("caption",)) for media_id in some]
        vectors = model.embed_texts([span.text for spans in captions for span in spans])
        batch, first = [], 0
        for media_id, spans in zip(some, captions, strict=True):
            batch.append((media_id, spans, done[media_id]["caption"], vectors[first : first + len(spans)]))
            first += len(spans)
        store.put_captions(batch, model=made_by)
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

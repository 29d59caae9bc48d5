"""Texts of finished media replaced, a channel at a time: new rows of a new edition, and then the row of `media`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from data.store import indices
from data.store.base import MEANING
from data.store.meanings import meaning_table
from data.store.rows import check_texts, text_table
from data.types import TextChannel, TextSpan, Vectors

if TYPE_CHECKING:
    from data.store.lance import LanceStore


def put_texts(
    store: LanceStore,
    channel: TextChannel,
    batch: Sequence[tuple[str, Sequence[TextSpan], str]],
    vectors: Sequence[Vectors] = (),
    model: str = "",
) -> None:
    """See data.store.base. vectors: of each batch's spans, made by `model`; none when they are not to be had.

    Vectors of captions stay when another channel is replaced, and go when captions are without new ones.
    """
    for _, spans, _ in batch:
        check_texts(spans)
        if any(span.channel != channel for span in spans):
            raise ValueError(f"texts of other channels than {channel!r}")
    dim = store._schemas["meanings"].field("vector").type.list_size
    for (_, spans, _), some in zip(batch, vectors, strict=bool(len(vectors))):
        if some.shape != (len(spans), dim) or not (np.abs(some) <= 2).all():
            raise ValueError(f"vectors of {len(spans)} captions have the shape {some.shape}, or are no unit vectors")
    texts: list[tuple[int, list[TextSpan]]] = []
    meanings: list[tuple[int, Sequence[TextSpan], Vectors]] = []
    with store._writing():
        media, rows, old = store._current(), [], []
        for number, (media_id, spans, stage) in enumerate(batch):
            row = media.table.slice(media.row_of[media_id], 1).to_pylist()[0]
            edition, store._next_edition = store._next_edition, store._next_edition + 1
            every = [*(span for span in store.texts(media_id) if span.channel != channel), *spans]
            stages = {**json.loads(row["stages"]), channel: stage}
            kept = row["n_meanings"]
            if channel != "caption":
                if kept:
                    held, held_vectors = store.meanings(media_id)
                    meanings.append((edition, held, held_vectors))
            else:
                stages.pop(MEANING, None)
                kept = 0
                if len(vectors):
                    stages[MEANING], kept = model, len(spans)
                    meanings.append((edition, spans, np.asarray(vectors[number])))
            row |= {"texts_edition": edition, "n_texts": len(every), "n_meanings": kept, "stages": json.dumps(stages)}
            texts.append((edition, every))
            rows.append(row)
            old.append(store._texts_of[media_id])
        if any(every for _, every in texts):
            store._tables["texts"].add(text_table(texts, store._schemas["texts"]))
        if any(len(some) for _, some, _ in meanings):
            store._tables["meanings"].add(meaning_table(meanings, store._schemas["meanings"]))
        store._upsert("media", "media_id", rows)
        store._texts_of.update((media_id, edition) for (media_id, *_), (edition, _) in zip(batch, texts, strict=True))
        store._delete_texts(old)
        indices.tidy(store._tables)

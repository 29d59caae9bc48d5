"""Parts of stills get vectors of their own, beside the picture's; see data.crops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from data.crops import HOW, STAGE, crops
from data.errors import MediaError
from data.store.base import MEANING, MediaRows, Store
from data.types import MediaItem, TextSpan, Vectors
from indexer.apart import Apart, Silent
from indexer.discover import Failure
from models.base import ImageEmbedder

SHORT_SIDE = 448  # of the whole picture: a part then has as many pixels as the models look at
MEDIA_AT_ONCE = 16
_CHANNEL = "joint"


def embed_crops(
    store: Store,
    items: Sequence[MediaItem],
    model: ImageEmbedder,
    files: Apart,
    *,
    tell: Callable[[str, int, int], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[int, list[Failure]] | None:
    """Look at the parts of those stills among `items` that were not looked at so.

    Returns:
        How many were looked at, and what could not be read; None when it was stopped: what is done is kept.
    """
    stages, failed, looked_at = store.stages(), [], 0
    todo = [item for item in items if item.info.kind == "image" and stages[item.media_id].get(STAGE) != HOW]
    for start in range(0, len(todo), MEDIA_AT_ONCE):
        if should_stop():
            return None
        if tell is not None:
            tell(str(todo[start].path), start, len(todo))
        pictures = []
        for item in todo[start : start + MEDIA_AT_ONCE]:
            try:
                (frame,) = files.pictures(item, short_side=SHORT_SIDE)  # to the end: left before it, the process ends
                rgb = frame.rgb
                assert rgb is not None, "asked for without luma, every frame has pixels"
                pictures.append((item, rgb))
            except Silent as error:
                told = f"its parts cannot be looked at: {error}; the next run with --crops tries again"
                failed.append(Failure(str(item.path), told))
            except (MediaError, OSError, ValueError) as error:  # ValueError: not one picture, which a still has
                failed.append(Failure(str(item.path), f"its parts cannot be looked at: {error}"))
        boxes = [crops(rgb.shape[1], rgb.shape[0]) for _, rgb in pictures]
        vectors = model.embed_images(
            [
                np.ascontiguousarray(rgb[box.y : box.y + box.height, box.x : box.x + box.width])
                for (_, rgb), some in zip(pictures, boxes, strict=True)
                for box in some
            ]
        )
        known, batch, first = store.files(), [], 0
        meanings: dict[str, list[tuple[str, Sequence[TextSpan], str, Vectors]]] = defaultdict(list)
        for (item, _), some in zip(pictures, boxes, strict=True):
            whole = store.frame_vectors(_CHANNEL, item.media_id)
            kept = whole.vectors[whole.segment_of_frame == 0][:1]
            batch.append(
                MediaRows(
                    item.media_id, item.info, item.size_bytes,
                    times_s=np.full(1 + len(some), np.nan),
                    segment_of_frame=np.arange(1 + len(some), dtype=np.int32),
                    segments=store.segments(item.media_id),
                    vectors={_CHANNEL: np.concatenate([kept, vectors[first : first + len(some)]])},
                    file=known[str(item.path)],
                    texts=store.texts(item.media_id),
                    stages={**stages[item.media_id], STAGE: HOW},
                    fields=item.fields,
                )
            )  # fmt: skip
            first += len(some)
            stage = stages[item.media_id]
            if MEANING in stage:
                captions = store.texts(item.media_id, ("caption",))
                spans, held = store.meanings(item.media_id)
                row_of = {(span.text, span.start_s, span.end_s): row for row, span in enumerate(spans)}
                rows = [row_of.get((span.text, span.start_s, span.end_s)) for span in captions]
                if None not in rows:
                    vectors_of = held[np.array(rows, dtype=np.intp)]
                    meanings[stage[MEANING]].append((item.media_id, captions, stage["caption"], vectors_of))
        store.add(batch)
        looked_at += len(batch)
        for made_by, those in meanings.items():  # written anew, a medium has lost its captions' vectors
            store.put_captions(those, model=made_by)
    return looked_at, failed

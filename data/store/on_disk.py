"""The nearest frames of a library too large for memory, straight from its tables: for where FAISS is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from data.store.base import Filter
from data.store.resident import MOST_IDS_BY_NAME, Media, Nearest, edition_filter
from data.store.rows import one_of, vector_column

EXACT_SHARE = 0.1  # filters that keep less than this share of the frames are answered without the vector index
MORE = 64  # rows asked beyond what is wanted: unfinished and replaced media stand in the table too, a batch at most


def nearest_on_disk(
    frames: Any,
    media: Media,
    allowed: npt.NDArray[np.bool_],
    where: Filter,
    channel: str,
    query: npt.NDArray[np.float32],
    k: int,
) -> Nearest | None:
    """Rows of `media`, times and products of the k nearest frames, best first; None when rows are missing.

    By the vector index; exactly where a filter keeps little or the index gives too few.

    Args:
        frames: the database table.
        allowed: (m,) what `where` lets through of `media`.
    """
    n_frames = media.column("n_frames")
    n_allowed = int(n_frames[allowed].sum())
    wanted = min(k, n_allowed)
    clauses = [one_of("kind", where.kinds)] if where.kinds else []
    if (where.conditions or where.media_ids) and allowed.sum() <= MOST_IDS_BY_NAME:
        clauses.append(edition_filter(media.editions[allowed]))
    excluded = media.rows(where.exclude_media_ids)
    if excluded:
        clauses.append(f"NOT ({edition_filter(media.editions[excluded])})")
    exact = n_allowed < EXACT_SHARE * n_frames.sum()
    limit = wanted + MORE
    while True:
        search = (
            frames.search(query.astype(np.float16), vector_column_name=vector_column(channel))
            .distance_type("dot")
            .select(["edition", "time_s", "_distance"])
            .limit(limit)
        )
        search = search.bypass_vector_index() if exact else search.nprobes(20).refine_factor(4)
        if clauses:
            search = search.where(" AND ".join(clauses), prefilter=True)
        found = search.to_arrow()
        editions = found["edition"].to_numpy()
        good = np.flatnonzero(np.isin(editions, media.editions[allowed]))[:wanted]
        if len(good) == wanted:
            rows = np.searchsorted(media.editions, editions[good])
            return rows, found["time_s"].to_numpy()[good], 1 - found["_distance"].to_numpy()[good]
        if exact and found.num_rows < limit:
            return None
        if exact:
            limit *= 4
        exact = True

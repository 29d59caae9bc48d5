"""Words in the texts of a library: the word index and BM25 over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data.store.resident import MOST_IDS_BY_NAME, Media, edition_filter
from data.store.rows import one_of, text_spans
from data.types import TextChannel, TextHit

TEXT_INDEX = "text_idx"
MOST_UNINDEXED_TEXTS = 5000  # texts outside the index are searched all the same, at 2 ms a thousand
MORE = 64  # rows asked beyond what is wanted: replaced texts stand in the table too until they are deleted


def index_words(texts: Any) -> None:
    """Make the word index of a table of texts. ICU's word boundaries cut Chinese as well as English."""
    from lancedb.index import FTS

    config = FTS(base_tokenizer="icu", stem=True, remove_stop_words=False, ascii_folding=True, with_position=True)
    texts.create_index("text", config=config, name=TEXT_INDEX)


def best_spans(
    texts: Any,
    media: Media,
    allowed: npt.NDArray[np.bool_],
    words: str,
    k: int,
    channels: Sequence[TextChannel],
    phrase: bool,
) -> list[TextHit]:
    """The k best spans of the allowed media by BM25, best first.

    Args:
        texts: the database table.
        allowed: (m,) of `media`.
    """
    from lancedb.query import MatchQuery, PhraseQuery

    of_texts = media.column("texts_edition")
    has_texts = allowed & (media.column("n_texts") > 0)
    if not has_texts.any():
        return []
    clauses = [one_of("channel", channels)] if channels else []
    if has_texts.sum() <= MOST_IDS_BY_NAME:
        clauses.append(edition_filter(of_texts[has_texts]))
    asked = (PhraseQuery if phrase else MatchQuery)(words, "text")  # type: ignore[call-arg]  # defaults mypy cannot see
    row_of = {edition: row for row, edition in enumerate(of_texts.tolist()) if has_texts[row]}
    limit = k + MORE
    while True:
        search = texts.search(asked, query_type="fts").limit(limit)
        if clauses:
            search = search.where(" AND ".join(clauses), prefilter=True)
        found = search.to_arrow()
        editions = found["edition"].to_pylist()
        good = [i for i, edition in enumerate(editions) if edition in row_of][:k]
        if len(good) == k or found.num_rows < limit:
            break
        limit *= 4
    if not good:
        return []
    ids = media.ids(np.array([row_of[editions[i]] for i in good], dtype=np.int64))
    scores = found["_score"].to_pylist()
    return [
        TextHit(media_id, span, scores[i])
        for media_id, i, span in zip(ids, good, text_spans(found.take(good)), strict=True)
    ]

"""A Store in plain Python, too simple to be wrong: what the real ones are compared with."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from data.store.base import FrameVectors, StoreStats
from data.types import Hit, MediaItem, TextHit


class ReferenceStore:
    def __init__(self):
        self.paths, self.contents, self.vectors_of = {}, {}, {}

    def files(self):
        return dict(self.paths)

    def _sweep(self):
        named = {row.media_id for row in self.paths.values() if not row.reason}
        gone = [media_id for media_id in self.contents if media_id not in named]
        for media_id in gone:
            del self.contents[media_id]
        return len(gone)

    def add(self, batch):
        for rows in batch:
            self.paths[rows.file.path] = rows.file
            self.contents.pop(rows.media_id, None)
            stages = {stage: how for stage, how in rows.stages.items() if stage != "meaning"}
            self.contents[rows.media_id] = replace(rows, stages=stages)
            self.vectors_of.pop(rows.media_id, None)
        self._sweep()

    def record_files(self, rows):
        self.paths.update((row.path, row) for row in rows)
        self._sweep()

    def forget_paths(self, paths):
        for path in paths:
            self.paths.pop(path, None)
        return self._sweep()

    def media(self, media_ids=None):
        for media_id in self.contents if media_ids is None else media_ids:
            if media_id in self.contents:
                rows = self.contents[media_id]
                path = min(p for p, row in self.paths.items() if row.media_id == media_id and not row.reason)
                yield MediaItem(media_id, path, rows.info, rows.size_bytes, dict(rows.fields))

    def segments(self, media_id):
        return list(self.contents[media_id].segments) if media_id in self.contents else []

    def search_vectors(self, channel, vector, k, where):
        hits = []
        for media_id, rows in self.contents.items():
            if not self._lets(where, media_id):
                continue
            for time_s, score in zip(rows.times_s.tolist(), (rows.vectors[channel] @ vector).tolist(), strict=True):
                hits.append(Hit(media_id, None if np.isnan(time_s) else time_s, channel, score))
        return sorted(hits, key=lambda hit: -hit.score)[:k]

    def frame_vectors(self, channel, media_id):
        rows = self.contents[media_id]
        order = np.argsort(rows.times_s, kind="stable")
        return FrameVectors(rows.times_s[order], rows.segment_of_frame[order], rows.vectors[channel][order])

    def texts(self, media_id, channels=()):
        spans = self.contents[media_id].texts if media_id in self.contents else ()
        kept = [span for span in spans if not channels or span.channel in channels]
        return sorted(kept, key=lambda span: (span.start_s or 0, span.end_s or 0))

    def put_texts(self, media_id, channel, spans, *, stage):
        rows = self.contents[media_id]
        texts = [*(span for span in rows.texts if span.channel != channel), *spans]
        stages = {**rows.stages, channel: stage}
        if channel == "caption":
            stages.pop("meaning", None)
            self.vectors_of.pop(media_id, None)
        self.contents[media_id] = replace(rows, texts=texts, stages=stages)

    def put_many_texts(self, channel, batch):
        for media_id, spans, stage in batch:
            self.put_texts(media_id, channel, spans, stage=stage)

    def put_captions(self, batch, *, model):
        for media_id, spans, stage, vectors in batch:
            self.put_texts(media_id, "caption", spans, stage=stage)
            self.contents[media_id].stages["meaning"] = model
            self.vectors_of[media_id] = vectors

    def search_meanings(self, vector, k, where):
        hits = [
            TextHit(media_id, span, float(score))
            for media_id, vectors in self.vectors_of.items()
            if media_id in self.contents and self._lets(where, media_id)
            for span, score in zip(self.texts(media_id, ("caption",)), vectors @ vector, strict=True)
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:k], None

    def sample_meanings(self, most):
        every = [vectors for media_id, vectors in self.vectors_of.items() if media_id in self.contents]
        return np.concatenate(every)[:most]

    def put_fields(self, fields):
        for media_id, values in fields.items():
            if media_id in self.contents:
                self.contents[media_id] = replace(self.contents[media_id], fields=values)

    def stages(self):
        return {media_id: dict(rows.stages) for media_id, rows in self.contents.items()}

    def search_texts(self, words, k, where, *, channels=(), phrase=False):
        """Exact words only, no stems, and any score."""
        found = []
        for media_id in self.contents:
            for span in self.texts(media_id, channels):
                if self._lets(where, media_id) and (
                    words in span.text if phrase else set(words.split()) & set(span.text.split())
                ):
                    found.append(TextHit(media_id, span, 1.0))
        return found[:k]

    def _lets(self, where, media_id):
        kind = self.contents[media_id].info.kind
        return (
            (not where.kinds or kind in where.kinds)
            and (not where.media_ids or media_id in where.media_ids)
            and media_id not in where.exclude_media_ids
            and all(self._holds(each, self.contents[media_id]) for each in where.conditions)
        )

    def _holds(self, condition, rows):
        assert (condition.name, condition.op) == ("price", "<")
        return rows.fields["price"] < condition.value

    def stats(self):
        every = self.contents.values()
        return StoreStats(
            media=dict(sorted(Counter(rows.info.kind for rows in every).items())),
            files=len(self.paths),
            failed=sum(1 for row in self.paths.values() if row.reason),
            segments=sum(len(rows.segments) for rows in every),
            frames=sum(len(rows.times_s) for rows in every),
            texts=sum(len(rows.texts) for rows in every),
            duration_s=sum(rows.info.duration_s or 0.0 for rows in every),
        )

    def close(self):
        pass

"""A Store in plain Python, too simple to be wrong: what the real ones are compared with."""

from __future__ import annotations

from collections import Counter

import numpy as np

from data.store.base import FrameVectors, StoreStats
from data.types import Hit, MediaItem


class ReferenceStore:
    def __init__(self):
        self.paths, self.contents = {}, {}

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
            self.contents[rows.media_id] = rows
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
                yield MediaItem(media_id, path, rows.info, rows.size_bytes)

    def segments(self, media_id):
        return list(self.contents[media_id].segments) if media_id in self.contents else []

    def search_vectors(self, channel, vector, k, where):
        hits = []
        for media_id, rows in self.contents.items():
            if where.kinds and rows.info.kind not in where.kinds:
                continue
            if (where.media_ids and media_id not in where.media_ids) or media_id in where.exclude_media_ids:
                continue
            for time_s, score in zip(rows.times_s.tolist(), (rows.vectors[channel] @ vector).tolist(), strict=True):
                hits.append(Hit(media_id, None if np.isnan(time_s) else time_s, channel, score))
        return sorted(hits, key=lambda hit: -hit.score)[:k]

    def frame_vectors(self, channel, media_id):
        rows = self.contents[media_id]
        order = np.argsort(rows.times_s, kind="stable")
        return FrameVectors(rows.times_s[order], rows.segment_of_frame[order], rows.vectors[channel][order])

    def stats(self):
        every = self.contents.values()
        return StoreStats(
            media=dict(sorted(Counter(rows.info.kind for rows in every).items())),
            files=len(self.paths),
            failed=sum(1 for row in self.paths.values() if row.reason),
            segments=sum(len(rows.segments) for rows in every),
            frames=sum(len(rows.times_s) for rows in every),
            duration_s=sum(rows.info.duration_s or 0.0 for rows in every),
        )

    def close(self):
        pass

"""Everything a library holds, in a form that compares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data.store.lance import open_reader


def contents(library: Path) -> dict[str, Any]:
    """By file name, so that copies of a folder compare; a medium doubled in a table shows as rows too many."""
    with open_reader(library) as store:
        stages = store.stages()
        out: dict[str, Any] = {
            "failed": {Path(row.path).name: row.reason for row in store.files().values() if row.reason}
        }
        for item in store.media():
            frames = store.frame_vectors("joint", item.media_id)
            times_s = [None if time_s != time_s else time_s for time_s in frames.times_s.tolist()]
            out[item.path.name] = (
                item.media_id, item.info, stages[item.media_id], store.segments(item.media_id),
                store.texts(item.media_id), times_s, frames.segment_of_frame.tolist(),
                frames.vectors.round(5).tolist(),
            )  # fmt: skip
        stats = store.stats()
        out["counts"] = (stats.frames, stats.segments, dict(stats.media))
        return out

"""Pictures of many media through one model in full batches, and back to the medium each belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from data.store.base import MediaRows
from data.types import Pixels, Segment
from indexer.decode import Job
from indexer.describe import REMARK_STAGE, Seen, described, glimpse
from indexer.segment import segment_of, segments
from models.base import ImageEmbedder, Tagger


@dataclass(slots=True)
class _Open:
    """A medium some of whose pictures are still to come or still to be embedded.

    Attributes:
        place: for each row, where among the vectors its own or the one it borrows stands.
        vectors: of its pictures, float16, as the library rests them: hours of film wait here until they are whole.
        glimpses: a few pixels of each picture.
    """

    job: Job
    times_s: list[float] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    vectors: bytearray = field(default_factory=bytearray)
    glimpses: bytearray = field(default_factory=bytearray)
    pictures: int = 0
    waiting: int = 0
    ended: bool = False


class BatchEmbedder:
    """Also looks at colours and names what is seen, from the same pictures and vectors.

    Args:
        on_done: called with each medium once its last picture is embedded, with those of the same batch.
    """

    def __init__(
        self, model: ImageEmbedder, tagger: Tagger | None, batch_size: int, on_done: Callable[[MediaRows], None]
    ) -> None:
        self._model, self._tagger, self._batch_size, self._on_done = model, tagger, batch_size, on_done
        self._open: dict[Path, _Open] = {}
        self._batch: list[tuple[_Open, Pixels]] = []

    def add(self, job: Job, time_s: float | None, rgb: Pixels | None, repeats: int | None) -> None:
        """A row: with a picture of its own, or the number of the earlier row whose vector it shares."""
        medium = self._open.setdefault(job.candidate.path, _Open(job))
        medium.times_s.append(np.nan if time_s is None else time_s)
        if rgb is None:
            medium.place.append(medium.place[repeats or 0])
            return
        medium.place.append(medium.pictures)
        medium.pictures += 1
        medium.waiting += 1
        medium.glimpses += glimpse(time_s, rgb).tobytes()
        self._batch.append((medium, rgb))
        if len(self._batch) >= self._batch_size:
            self.flush()

    def end(self, job: Job) -> None:
        """No more rows of it come; it is handed over with the pictures of the next batch."""
        self._open[job.candidate.path].ended = True

    def drop(self, path: Path) -> None:
        """Forget a medium that failed half way."""
        medium = self._open.pop(path, None)
        if medium is not None:
            self._batch = [(owner, rgb) for owner, rgb in self._batch if owner is not medium]

    def flush(self) -> None:
        batch, self._batch = self._batch, []
        vectors = self._model.embed_images([rgb for _, rgb in batch]) if batch else ()
        for (medium, _), vector in zip(batch, vectors, strict=True):
            medium.vectors += vector.astype(np.float16).tobytes()
            medium.waiting -= 1
        whole = [medium for medium in self._open.values() if medium.ended and not medium.waiting]
        for medium in whole:
            del self._open[medium.job.candidate.path]
        done = described([_seen(medium) for medium in whole], self._tagger)
        for medium in whole:
            medium.vectors = medium.glimpses = bytearray()  # not held while it is written
        for rows in done:
            self._on_done(rows)


def _seen(medium: _Open) -> Seen:
    job = medium.job
    times_s = np.asarray(medium.times_s, dtype=np.float64)
    place = np.asarray(medium.place, dtype=np.int64)
    if job.edges_s is None:
        shots = [Segment(job.media_id, 0, None, None)]
        places = np.zeros(len(times_s), dtype=np.int32)
    else:
        shots = segments(job.media_id, job.edges_s)
        places = segment_of(times_s, shots)
    rows = MediaRows(
        media_id=job.media_id,
        info=job.info,
        size_bytes=job.candidate.row.size_bytes,
        times_s=times_s,
        segment_of_frame=places,
        segments=shots,
        vectors={"joint": np.frombuffer(medium.vectors, np.float16).reshape(medium.pictures, -1)[place]},
        file=replace(job.candidate.row, media_id=job.media_id),
        stages={REMARK_STAGE: "; ".join(job.warnings)} if job.warnings else {},
    )
    glimpses = np.frombuffer(medium.glimpses, np.uint8).reshape(medium.pictures, -1, 3)
    return Seen(rows, glimpses, place)

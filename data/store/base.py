"""The Store protocol: what the indexer writes and the search reads, whatever database is behind it.

Six tables. `files`: path -> content, one row a path, failures with their reason. `media`: one row a content; its row
is written last, so a medium without it is unfinished and invisible. `segments`, `frames`, `texts` and `meanings` (the
vectors of captions): rows of a medium.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from data.types import (
    FieldValue,
    Hit,
    Kind,
    MediaInfo,
    MediaItem,
    Segment,
    TextChannel,
    TextHit,
    TextSpan,
    Vectors,
)

SCHEMA_VERSION = 3
MEANING = "meaning"  # among a medium's stages: the model that made the vectors of its captions


@dataclass(frozen=True, slots=True)
class FileRow:
    """One path that was looked at.

    Attributes:
        path: absolute path as text; undecodable bytes as surrogate escapes are percent-escaped by the store.
        media_id: content hash; "" when the file could not be read at all.
        size_bytes, mtime_ns, ctime_ns, inode: what the file system said; all equal means unchanged.
        reason: "" when indexed, otherwise why it was skipped, one line.
    """

    path: str
    media_id: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MediaRows:
    """Everything one medium adds. Vectors are per channel, rows parallel to `times_s`.

    Attributes:
        times_s: (n,) float64 frame times; for a still one NaN.
        segment_of_frame: (n,) int32, index into `segments`; of a still its part, 0 the whole of it (data.crops).
        vectors: channel -> (n, dim) of unit norm; float16, as they rest, spares a long film a copy.
        file: the path this content was read from.
        texts: captions, speech and on-screen text, in order of time within a channel.
        stages: what was done to it: stage -> how ("frames": "adaptive-2", "speech": "whisper-base@1a2b"); a later run
            that wants more of a stage than this says does that stage, or the whole medium, again.
        fields: what its owner says of it.
    """

    media_id: str
    info: MediaInfo
    size_bytes: int
    times_s: npt.NDArray[np.float64]
    segment_of_frame: npt.NDArray[np.int32]
    segments: Sequence[Segment]
    vectors: Mapping[str, Vectors | npt.NDArray[np.float16]]
    file: FileRow
    texts: Sequence[TextSpan] = ()
    stages: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, FieldValue] = field(default_factory=dict)


Operator = Literal["=", "!=", "<", "<=", ">", ">=", "contains", "under"]
# What a Condition may name besides a user's own fields; a user's field of the same name is reached as "field.NAME".
FACTS = (
    "path", "duration_s", "width", "height", "size_bytes", "captured_at", "container", "codec", "has_audio", "camera",
    "latitude", "longitude",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """A bound on a fact of the file or on a user's field. A medium that lacks the field never passes, except "!=".

    Attributes:
        op: "contains": a part of the text, without case; "under": a path in that folder; "<" and the like compare
            numbers with numbers and texts (ISO 8601 times) with texts; "=" and "!=" on texts are without case.
    """

    name: str
    op: Operator
    value: FieldValue


@dataclass(frozen=True, slots=True)
class Filter:
    """What search may return. Empty means no bound; all conditions must hold."""

    kinds: tuple[Kind, ...] = ()
    media_ids: tuple[str, ...] = ()
    exclude_media_ids: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameVectors:
    """All frames of one medium in one channel, in order of time."""

    times_s: npt.NDArray[np.float64]  # (n,), NaN for a still
    segment_of_frame: npt.NDArray[np.int32]  # (n,)
    vectors: Vectors  # (n, dim)


@dataclass(frozen=True, slots=True)
class StoreStats:
    media: dict[str, int] = field(default_factory=dict)  # kind -> distinct contents
    files: int = 0
    failed: int = 0
    segments: int = 0
    frames: int = 0
    texts: int = 0
    duration_s: float = 0.0
    size_on_disk_bytes: int = 0


class Store(Protocol):
    """One library, open. Writers hold its lock; readers always see finished media only."""

    def files(self) -> dict[str, FileRow]: ...

    def add(self, batch: Sequence[MediaRows]) -> None:
        """Write the batch so that a kill at any point leaves each medium whole or invisible. Replaces same ids."""
        ...

    def record_files(self, rows: Iterable[FileRow]) -> None:
        """Upsert path rows: moves, further copies, failures."""
        ...

    def forget_paths(self, paths: Iterable[str]) -> int:
        """Drop path rows; contents no path names any more go with their rows. Returns contents removed."""
        ...

    def media(self, media_ids: Sequence[str] | None = None) -> Iterator[MediaItem]: ...

    def segments(self, media_id: str) -> list[Segment]: ...

    def search_vectors(self, channel: str, vector: npt.NDArray[np.float32], k: int, where: Filter) -> list[Hit]:
        """The k nearest frames by dot product, best first; fewer only when no more exist."""
        ...

    def frame_vectors(self, channel: str, media_id: str) -> FrameVectors: ...

    def sample_vectors(self, channel: str, most: int) -> Vectors:
        """Up to `most` frames' vectors, parts of stills left out, spread evenly over the library: its average frame."""
        ...

    def search_texts(
        self, words: str, k: int, where: Filter, *, channels: Sequence[TextChannel] = (), phrase: bool = False
    ) -> list[TextHit]:
        """The k best spans by BM25, best first, in English and Chinese; fewer only when no more hold any of the words.

        Args:
            channels: empty means all. phrase: the words must stand together, in this order.
        """
        ...

    def texts(self, media_id: str, channels: Sequence[TextChannel] = ()) -> list[TextSpan]:
        """Spans of one medium in order of time; channels: empty means all."""
        ...

    def put_texts(self, media_id: str, channel: TextChannel, spans: Sequence[TextSpan], *, stage: str) -> None:
        """Replace one channel's texts of a finished medium and note the stage as done, whole or not at all."""
        ...

    def put_many_texts(self, channel: TextChannel, batch: Sequence[tuple[str, Sequence[TextSpan], str]]) -> None:
        """put_texts of several media, (media_id, spans, stage) each once, at the cost of one."""
        ...

    def put_captions(self, batch: Sequence[tuple[str, Sequence[TextSpan], str, Vectors]], *, model: str) -> None:
        """put_many_texts of captions with their vectors, (media_id, spans, stage, (n spans, dim)).

        Args:
            model: what made the vectors, noted as the stage MEANING; captions put without vectors take the note away.
        """
        ...

    def search_meanings(self, vector: npt.NDArray[np.float32], k: int, where: Filter) -> tuple[list[TextHit], Vectors]:
        """The k captions nearest by dot product, best first, and their vectors; fewer only when no more have any."""
        ...

    def meanings(self, media_id: str) -> tuple[list[TextSpan], Vectors]:
        """The captions of one medium that have vectors, and those, (n, dim)."""
        ...

    def sample_meanings(self, most: int) -> Vectors:
        """Up to `most` captions' vectors spread evenly over the library."""
        ...

    def put_fields(self, fields: Mapping[str, Mapping[str, FieldValue]]) -> None:
        """media_id -> fields, replacing those of each medium named; unknown media are passed over."""
        ...

    def stages(self) -> dict[str, dict[str, str]]:
        """media_id -> what was done to it, of all finished media."""
        ...

    def stats(self) -> StoreStats: ...

    def close(self) -> None: ...

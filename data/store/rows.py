"""The six tables: their schemas, and values to rows and back. All text is escaped here, and nowhere else.

Every medium written gets an `edition`, a number never used twice in a library. `frames` and `segments` carry it, and
the row of `media` names the edition in force: that one row makes a medium visible, or replaces it, as a whole. Texts
have an edition of their own, so that a later pass (speech, captions) replaces them and leaves the frames alone; the
vectors of captions go with the texts.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data.store.base import MEANING, FileRow, MediaRows
from data.types import (
    TEXT_CHANNELS,
    Box,
    Color,
    FieldValue,
    MediaInfo,
    MediaItem,
    Segment,
    Tag,
    TextSpan,
    TimedWord,
)

if TYPE_CHECKING:
    import pyarrow as pa

FRAMES_AT_ONCE = 1024  # turned into rows: they are written in one commit, but never all in memory at once

_UNSAFE = re.compile(r"[%\ud800-\udfff]")
_ESCAPED = re.compile(r"%([0-9A-F]{4})")


def encode(text: str) -> str:
    """Any str as valid Unicode: '%' and surrogates (undecodable bytes of names) become %XXXX."""
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):04X}", text)


def decode(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "%" in text else text


def one_of(column: str, texts: Sequence[str]) -> str:
    """Filter expression "column is one of these encoded texts"."""
    return f"{column} IN ({', '.join(_literal(text) for text in texts)})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def schemas(models: Mapping[str, Mapping[str, Any]]) -> dict[str, pa.Schema]:
    """Table name -> schema.

    Vectors rest as float16: half the size of float32, and dot products of unit vectors of 512 move by less than 5e-5.
    """
    import pyarrow as pa

    text, whole, real = pa.string(), pa.int64(), pa.float64()
    return {
        "files": pa.schema(
            [
                ("path", text),
                ("media_id", text),
                ("size_bytes", whole),
                ("mtime_ns", whole),
                ("ctime_ns", whole),
                ("inode", pa.uint64()),  # some file systems use all 64 bits
                ("reason", text),
            ]
        ),
        "media": pa.schema(
            [
                ("media_id", text),
                ("edition", whole),
                ("kind", text),
                ("width", whole),
                ("height", whole),
                ("duration_s", real),
                ("container", text),
                ("codec", text),
                ("rotation_deg", whole),
                ("frame_rate", real),
                ("has_audio", pa.bool_()),
                ("captured_at", text),
                ("tags", text),
                ("size_bytes", whole),
                ("n_segments", whole),
                ("n_frames", whole),
                ("texts_edition", whole),
                ("n_texts", whole),
                ("stages", text),
                ("fields", text),
                ("n_meanings", whole),
            ]
        ),
        "segments": pa.schema(
            [
                ("edition", whole),
                ("media_id", text),
                ("index", pa.int32()),
                ("start_s", real),
                ("end_s", real),
                ("seen", text),  # tags and colours, JSON
            ]
        ),
        "texts": pa.schema(
            [
                ("edition", whole),
                ("channel", text),
                ("start_s", real),
                ("end_s", real),
                ("text", text),
                ("more", text),  # language, box, words and source, JSON
            ]
        ),
        "meanings": pa.schema(
            [
                ("edition", whole),  # of the texts
                ("start_s", real),
                ("end_s", real),
                ("text", text),
                # of the first channel's model, which embeds words as well
                ("vector", pa.list_(pa.float16(), next(iter(models.values()))["dim"])),
            ]
        ),
        "frames": pa.schema(
            [
                ("edition", whole),
                ("media_id", text),
                ("kind", text),
                ("time_s", real),
                ("segment", pa.int32()),
                *((vector_column(channel), pa.list_(pa.float16(), m["dim"])) for channel, m in models.items()),
            ]
        ),
    }


def vector_column(channel: str) -> str:
    return f"vec_{channel}"


def file_columns(row: FileRow) -> dict[str, Any]:
    return {
        "path": encode(row.path),
        "media_id": encode(row.media_id),
        "size_bytes": row.size_bytes,
        "mtime_ns": row.mtime_ns,
        "ctime_ns": row.ctime_ns,
        "inode": row.inode,
        "reason": encode(row.reason),
    }


def file_rows(table: pa.Table) -> dict[str, FileRow]:
    """Columns at once: a hundred thousand rows take a fraction of a second."""
    paths, ids, sizes, mtimes, ctimes, inodes, reasons = (
        table[name].to_pylist()
        for name in ("path", "media_id", "size_bytes", "mtime_ns", "ctime_ns", "inode", "reason")
    )
    rows = map(FileRow, map(decode, paths), map(decode, ids), sizes, mtimes, ctimes, inodes, map(decode, reasons))
    return {row.path: row for row in rows}


def media_columns(rows: MediaRows, edition: int) -> dict[str, Any]:
    info = rows.info
    return {
        "media_id": encode(rows.media_id),
        "edition": edition,
        "kind": info.kind,
        "width": info.width,
        "height": info.height,
        "duration_s": info.duration_s,
        "container": encode(info.container),
        "codec": encode(info.codec),
        "rotation_deg": info.rotation_deg,
        "frame_rate": info.frame_rate,
        "has_audio": info.has_audio,
        "captured_at": encode(info.captured_at),
        "tags": json.dumps(info.tags),  # ASCII: surrogates and controls are JSON escapes
        "size_bytes": rows.size_bytes,
        "n_segments": len(rows.segments),
        "n_frames": len(rows.times_s),
        "texts_edition": edition,
        "n_texts": len(rows.texts),
        "stages": json.dumps({stage: how for stage, how in rows.stages.items() if stage != MEANING}),
        "fields": json.dumps(dict(rows.fields)),
        "n_meanings": 0,
    }


def media_item(row: Mapping[str, Any], paths: Sequence[str]) -> MediaItem:
    """paths: all of them; the item's own is that of a copy that exists, where one does."""
    ordered = sorted(paths)
    if len(ordered) > 1:
        ordered.sort(key=lambda path: not os.path.exists(path))
    info = MediaInfo(
        kind=row["kind"],
        width=row["width"],
        height=row["height"],
        duration_s=row["duration_s"],
        container=decode(row["container"]),
        codec=decode(row["codec"]),
        rotation_deg=row["rotation_deg"],
        frame_rate=row["frame_rate"],
        has_audio=row["has_audio"],
        captured_at=decode(row["captured_at"]),
        tags=json.loads(row["tags"]),
    )
    path, *copies = map(Path, ordered)
    fields = json.loads(row["fields"])
    return MediaItem(decode(row["media_id"]), path, info, row["size_bytes"], fields, tuple(copies))


def segment_table(batch: Sequence[tuple[int, MediaRows]], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    rows = [
        {
            "edition": edition,
            "media_id": encode(m.media_id),
            "index": s.index,
            "start_s": s.start_s,
            "end_s": s.end_s,
            "seen": _seen_text(s),
        }
        for edition, m in batch
        for s in m.segments
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _seen_text(segment: Segment) -> str:
    if not segment.tags and not segment.colors:
        return ""
    tags = [[tag.name, round(tag.probability, 4)] for tag in segment.tags]
    colors = [[color.red, color.green, color.blue, round(color.share, 4)] for color in segment.colors]
    return json.dumps([tags, colors])


def segment(media_id: str, index: int, start_s: float | None, end_s: float | None, seen: str) -> Segment:
    tags, colors = json.loads(seen) if seen else ((), ())
    return Segment(media_id, index, start_s, end_s, tuple(Tag(*t) for t in tags), tuple(Color(*c) for c in colors))


def text_table(batch: Sequence[tuple[int, Sequence[TextSpan]]], schema: pa.Schema) -> pa.Table:
    """Spans in order of time within a channel. Text is not escaped, since it is searched: what is no Unicode goes."""
    import pyarrow as pa

    rows = []
    for edition, spans in batch:
        for span in spans:
            box = span.box and [span.box.x, span.box.y, span.box.width, span.box.height]
            words = [[word.text, word.start_s, word.end_s] for word in span.words]
            rows.append(
                {
                    "edition": edition,
                    "channel": span.channel,
                    "start_s": span.start_s,
                    "end_s": span.end_s,
                    "text": span.text.encode("utf-8", "replace").decode("utf-8"),
                    "more": json.dumps([span.language, box, words, span.source]),
                }
            )
    return pa.Table.from_pylist(rows, schema=schema)


def text_spans(table: pa.Table) -> list[TextSpan]:
    """Rows of `texts` as they stand."""
    spans = []
    columns = (table[name].to_pylist() for name in ("channel", "start_s", "end_s", "text", "more"))
    for channel, start_s, end_s, text, more in zip(*columns, strict=True):
        language, box, words, source = json.loads(more)
        spans.append(
            TextSpan(
                channel, text, start_s, end_s, language, Box(*box) if box else None,
                tuple(TimedWord(*word) for word in words), source,
            )
        )  # fmt: skip
    return spans


def frame_rows(batch: Sequence[tuple[int, MediaRows]], schema: pa.Schema) -> pa.RecordBatchReader:
    """Frames of each medium in order of time, made FRAMES_AT_ONCE as they are read: never all in memory again."""
    import pyarrow as pa

    def made() -> Iterator[pa.RecordBatch]:
        for edition, rows in batch:
            order = np.argsort(rows.times_s, kind="stable")
            for start in range(0, len(order), FRAMES_AT_ONCE):
                yield _some_frames(edition, rows, order[start : start + FRAMES_AT_ONCE], schema)

    return pa.RecordBatchReader.from_batches(schema, made())


def _some_frames(edition: int, rows: MediaRows, some: npt.NDArray[np.intp], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    n, times_s = len(some), np.asarray(rows.times_s, dtype=np.float64)[some]
    columns: list[Any] = [
        pa.array(np.full(n, edition, dtype=np.int64)),
        pa.array([encode(rows.media_id)] * n, type=pa.string()),
        pa.array([rows.info.kind] * n, type=pa.string()),
        pa.array(times_s, mask=np.isnan(times_s)),
        pa.array(np.asarray(rows.segment_of_frame, dtype=np.int32)[some]),
    ]
    for field in list(schema)[len(columns) :]:
        half = rows.vectors[field.name.removeprefix("vec_")][some].astype(np.float16, copy=False)
        columns.append(pa.FixedSizeListArray.from_arrays(pa.array(half.ravel()), type=field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def check(rows: MediaRows, models: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ValueError when the parts of `rows` do not fit together: a mistake of the caller, never of a file."""
    n = len(rows.times_s)
    expected = {channel: (n, identity["dim"]) for channel, identity in models.items()}
    shapes = {channel: vectors.shape for channel, vectors in rows.vectors.items()}
    if shapes != expected:
        raise ValueError(f"vectors of {rows.media_id!r} have shapes {shapes}, not {expected}")
    if not all(bool(vectors.min(initial=0) >= -2 and vectors.max(initial=0) <= 2) for vectors in rows.vectors.values()):
        raise ValueError(f"vectors of {rows.media_id!r} are not finite rows of unit norm")
    if [(s.media_id, s.index) for s in rows.segments] != [(rows.media_id, i) for i in range(len(rows.segments))]:
        raise ValueError(f"segments of {rows.media_id!r} are not its own, numbered from 0")
    of_frame = np.asarray(rows.segment_of_frame)
    known = len(rows.segments) if rows.info.duration_s is not None else np.inf  # of a still they count its parts
    if of_frame.shape != (n,) or (n and (of_frame.min() < 0 or of_frame.max() >= known)):
        raise ValueError(f"segment_of_frame of {rows.media_id!r} does not index its {len(rows.segments)} segments")
    check_texts(rows.texts)
    check_fields(rows.fields)
    if (rows.file.media_id, rows.file.reason) != (rows.media_id, ""):
        raise ValueError(f"file row {rows.file.path!r} does not name the content {rows.media_id!r}")


def check_texts(spans: Sequence[TextSpan]) -> None:
    """Raise ValueError when a span is of no known channel or its times are not [start_s, end_s)."""
    for span in spans:
        if span.channel not in TEXT_CHANNELS:
            raise ValueError(f"text of channel {span.channel!r}, not one of {TEXT_CHANNELS}")
        if (span.start_s is None) != (span.end_s is None):
            raise ValueError(f"text with start {span.start_s} and end {span.end_s}")
        if span.start_s is not None and span.end_s is not None and not 0 <= span.start_s <= span.end_s < math.inf:
            raise ValueError(f"text from {span.start_s} to {span.end_s} s")


def check_fields(fields: Mapping[str, FieldValue]) -> None:
    """Raise ValueError when a field is no text, finite number or truth value."""
    for name, value in fields.items():
        real = isinstance(value, int | float) and math.isfinite(value)
        if not (isinstance(value, str) or real):
            raise ValueError(f"field {name!r} holds {value!r}")

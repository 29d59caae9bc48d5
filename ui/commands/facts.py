"""`info FILE`: everything the library knows of one file."""

from __future__ import annotations

import os
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.colors import name_of
from data.errors import MissingMedia
from indexer.describe import REMARK_STAGE
from ui.commands.library import open_library
from ui.console import out, print_json
from ui.text import count, path_text, plain, size_text, timecode

if TYPE_CHECKING:
    from data.store.base import Store

_MOST_TAGS = 8


def run(file: Path, library: Path | None, as_json: bool) -> None:
    folder, store = open_library(library)
    try:
        facts = _facts(store, folder, os.path.abspath(file))
    finally:
        store.close()
    if as_json:
        print_json(facts)
        return
    for name, value in _lines(facts):
        out().print(f"{name:<12} {value}", markup=False, soft_wrap=True)


def _facts(store: Store, folder: Path, path: str) -> dict[str, Any]:
    row = store.files().get(path)
    if row is None:
        raise MissingMedia(
            f"The library {str(folder)!r} does not hold {path!r}.", remedy="Index it first: secondsight index FILE."
        )
    item = next(iter(store.media([row.media_id])), None) if row.media_id and not row.reason else None
    if item is None:
        return {"path": path, "failed": row.reason}
    info, segments = item.info, store.segments(item.media_id)
    tags: Counter[str] = Counter()
    colors: Counter[str] = Counter()
    for segment in segments:
        weight = (segment.end_s - segment.start_s) if segment.start_s is not None and segment.end_s is not None else 1.0
        for tag in segment.tags:
            tags[tag.name] += tag.probability * weight  # type: ignore[assignment]
        for color in segment.colors:
            colors[name_of(color)] += color.share * weight  # type: ignore[assignment]
    stages = store.stages().get(item.media_id, {})
    shape = Fraction(info.width, info.height).limit_denominator(32)
    return {
        "path": path,
        "media_id": item.media_id,
        "copies": sorted({str(each) for each in (item.path, *item.copies)} - {path}),
        "kind": info.kind,
        "width": info.width,
        "height": info.height,
        "aspect": f"{shape.numerator}:{shape.denominator}",
        "rotation_deg": info.rotation_deg,
        "duration_s": info.duration_s,
        "frame_rate": info.frame_rate,
        "container": info.container,
        "codec": info.codec,
        "has_audio": info.has_audio,
        "size_bytes": item.size_bytes,
        "captured_at": info.captured_at,
        "stated": dict(info.tags),
        "fields": dict(item.fields),
        "segments": len(segments),
        "texts": dict(Counter(span.channel for span in store.texts(item.media_id))),
        "tags": [name for name, _ in tags.most_common(_MOST_TAGS)],
        "colors": [name for name, _ in colors.most_common(4)],
        "remark": stages.pop(REMARK_STAGE, ""),
        "stages": stages,
    }


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [("file", plain(facts["path"]))]
    if "failed" in facts:
        return [*lines, ("failed", plain(facts["failed"]))]
    if facts["remark"]:
        lines.append(("remark", plain(facts["remark"])))
    lines += [("same as" if place == 0 else "", path_text(copy)) for place, copy in enumerate(facts["copies"])]
    shown = f"{facts['width']} x {facts['height']} ({facts['aspect']})"
    turned = f", turned by {facts['rotation_deg']}°" if facts["rotation_deg"] else ""
    lines.append(("picture", shown + turned))
    if facts["duration_s"]:
        rate = f", {facts['frame_rate']:.5g} frames a second" if facts["frame_rate"] else ""
        sound = "with sound" if facts["has_audio"] else "silent"
        lines.append(
            ("length", f"{timecode(facts['duration_s'])}{rate}, {sound}, {count(facts['segments'], 'segment')}")
        )
    written = " ".join(filter(None, (plain(facts["container"]), plain(facts["codec"]))))
    lines.append(("written as", f"{written}, {size_text(facts['size_bytes'])}"))
    if facts["captured_at"]:
        lines.append(("taken", plain(facts["captured_at"])))
    lines += [(plain(name, 12), plain(value)) for name, value in facts["stated"].items()]
    lines += [(plain(name, 12), plain(value)) for name, value in facts["fields"].items()]
    lines += [(f"lines ({channel})", f"{number:,}") for channel, number in facts["texts"].items()]
    lines += [(name, ", ".join(facts[name])) for name in ("tags", "colors") if facts[name]]
    return lines

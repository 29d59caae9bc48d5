"""`where`: what the words name, as boxes in a picture or a paused frame."""

from __future__ import annotations

from pathlib import Path

from data.errors import MediaError
from data.types import Box
from search.pictures import look, parse_reference
from ui.console import err, out, print_json
from ui.marks import marked_jpeg
from ui.talking import lacking, talking
from ui.text import plain


def run(words: str, file: str, save: Path | None, models: str | None, library: Path | None, as_json: bool) -> None:
    from data import settings as configuration

    settings = configuration.load(library=library, models=models)
    path, at_s = parse_reference(file)
    rgb = look(path, at_s=at_s, max_pixels=settings.max_pixels)
    brought = talking(settings)
    if brought.grounder is None:
        raise lacking(brought.profile, "point at things")
    boxes = brought.grounder.where(words, rgb)
    if save is not None:
        _save(marked_jpeg(rgb, boxes), save)
    if as_json:
        size = {"width": rgb.shape[1], "height": rgb.shape[0]}
        print_json({"query": words, "file": str(path), "at_s": at_s, **size, "boxes": [_list(box) for box in boxes]})
        return
    for box in boxes:
        out().print(",".join(map(str, _list(box))), markup=False)
    if not boxes:
        err().print(f"{plain(words, 100)!r} is not in this picture.", markup=False)


def _save(jpeg: bytes, path: Path) -> None:
    try:
        path.write_bytes(jpeg)
    except OSError as error:
        raise MediaError(f"{str(path)!r} cannot be written: {error.strerror}.") from None


def _list(box: Box) -> list[int]:
    return [box.x, box.y, box.width, box.height]

"""`search` and `similar`: a question in, a table (or JSON) of moments out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ui.console import err, out, print_json
from ui.text import parse_box, parse_reference, plain, short_path, stretch, timecode

if TYPE_CHECKING:
    from data.types import Evidence, ImageQuery, Moment, Query, SearchResponse
    from search.engine import SearchEngine
    from search.limits import Without


_WIDE = 100  # columns of a terminal from which a moment's whole stretch is shown beside its second


def run(
    words: str,
    k: int,
    image: str | None,
    kinds: Sequence[str],
    open_first: bool,
    library: Path | None,
    as_json: bool,
    *,
    group_by: str = "",
) -> None:
    from data.types import ImageQuery

    with _engine(library) as engine:
        images = []
        if image is not None:
            from search.pictures import look

            path, at_s = parse_reference(image)
            pixels = look(path, at_s=at_s, max_pixels=engine.settings.max_pixels)
            images.append(ImageQuery(pixels, label=plain(path.name)))
        query = engine.query(words, images=images, kinds=kinds, k=k, group_by=group_by)
        response = engine.search(query)
        loose = loosened(engine, response, kinds, images)
    _answer(response, " + ".join(filter(None, (query.text, image))), open_first, as_json, loose)


def run_similar(
    file: str,
    box: str | None,
    k: int,
    kinds: Sequence[str],
    open_first: bool,
    library: Path | None,
    as_json: bool,
    *,
    exact: bool = False,
    colors: float = 0.0,
    group_by: str = "",
) -> None:
    from data.types import Box

    path, at_s = parse_reference(file)
    area = Box(*parse_box(box)) if box is not None else None
    with _engine(library) as engine:
        response = engine.similar(
            path, at_s=at_s, box=area, k=k, kinds=kinds, exact=exact, color_weight=colors, group_by=group_by
        )
    _answer(response, file, open_first, as_json)


def loosened(
    engine: SearchEngine,
    response: SearchResponse,
    kinds: Sequence[str],
    images: Sequence[ImageQuery] = (),
    *,
    files: bool = True,
) -> list[Without]:
    """Where nothing matches: the limits of the question without which something does.

    Args:
        kinds, images: given beside the text of the question.
    """
    from search import limits

    asked = response.query
    if not response.no_match:
        return []

    def build(text: str, kinds: Sequence[str]) -> Query:
        query = engine.query(
            text, images=images, kinds=kinds, k=limits.MOST_COUNTED, group_by=asked.group_by, files=files
        )
        return replace(
            query,
            liked=asked.liked,
            disliked=asked.disliked,
            exclude_media_id=asked.exclude_media_id,
            exclude_at_s=asked.exclude_at_s,
        )

    return limits.without(asked.text, kinds, build, engine.count)


def matches_without(one: Without) -> str:
    from search.limits import MOST_COUNTED

    more = " or more" if one.matches == MOST_COUNTED else ""
    return f"{one.matches}{more} match{'es' if one.matches == 1 else ''} without"


def as_dict(response: SearchResponse, query: str, loose: Sequence[Without] = ()) -> dict[str, Any]:
    """The answer as scripts get it."""
    return {
        "query": query,
        "no_match": response.no_match,
        "matches": response.matches,
        "without": [{"limit": one.limit, "query": one.text, "matches": one.matches} for one in loose],
        "timing_ms": {stage: round(ms, 2) for stage, ms in response.timing_ms.items()},
        "results": [
            {
                "rank": rank,
                "path": str(moment.media.path),
                "kind": moment.media.info.kind,
                "start_s": moment.start_s,
                "peak_s": moment.peak_s,
                "end_s": moment.end_s,
                "score": round(moment.score, 4),
                "evidence": [
                    {
                        "channel": evidence.channel,
                        "rank": evidence.rank,
                        "score": round(evidence.score, 4),
                        "time_s": evidence.time_s,
                        "detail": evidence.detail,
                        "words": list(evidence.words),
                        "box": box and [box.x, box.y, box.width, box.height],
                    }
                    for evidence in moment.evidence
                    for box in (evidence.box,)
                ],
                "same": [str(item.path) for item in moment.same],
            }
            for rank, moment in enumerate(response.moments, start=1)
        ],
    }


def reason(evidence: Evidence, peak_s: float | None) -> str:
    """One line of evidence for people, with its second where that is another one than the moment opens at."""
    told = plain(evidence.detail, 120) or f"{plain(evidence.channel, 20)} #{evidence.rank}"
    apart = evidence.time_s is not None and peak_s is not None and abs(evidence.time_s - peak_s) >= 1
    return f"{told} at {timecode(evidence.time_s or 0.0)}" if apart else told


def why(moment: Moment) -> list[str]:
    """The evidence of a moment in a few words a line."""
    told = [reason(evidence, moment.peak_s) for evidence in moment.evidence]
    if moment.same:
        names = ", ".join(_told_apart(item.path, moment.media.path) for item in moment.same[:3])
        more = f" and {len(moment.same) - 3} more" if len(moment.same) > 3 else ""
        told.append(f"the same in {names}{more}")
    return told


def _told_apart(path: Path, other: Path) -> str:
    """A file's name, with its folder where the other one is called the same."""
    return plain(path.name if path.name != other.name else f"{path.parent.name}/{path.name}", 60)


def beyond_looks(moment: Moment) -> str:
    """Why, less that it looks like what was asked, which every result does; of several events, each."""
    looks = [evidence for evidence in moment.evidence if evidence.channel in ("words", "picture")]
    rest = tuple(evidence for evidence in moment.evidence if evidence not in looks)
    return "; ".join(why(moment if len(looks) > 1 else replace(moment, evidence=rest)))


def _engine(library: Path | None) -> SearchEngine:
    from data import settings as configuration
    from search.engine import SearchEngine

    return SearchEngine.ready(configuration.load(library=library))


def _answer(
    response: SearchResponse, query: str, open_first: bool, as_json: bool, loose: Sequence[Without] = ()
) -> None:
    if as_json:
        print_json(as_dict(response, query, loose))
    else:
        _print_table(response, query, loose)
    if open_first and response.moments:
        from ui import players

        first = response.moments[0]
        err().print(players.open_at(first.media.path, first.peak_s), markup=False, soft_wrap=True)


def _print_table(response: SearchResponse, query: str, loose: Sequence[Without]) -> None:
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    console = out()
    if not response.moments:
        limited = (
            response.query.conditions
            or response.query.kinds
            or any(term.channel != "all" for term in response.query.terms)
        )
        verb = "is within the limits of" if limited else "seems to match"
        console.print(f"Nothing in this library {verb} {plain(query, 100)!r}.", markup=False)
        for one in loose:
            console.print(f"{matches_without(one)} {plain(one.limit, 100)}", markup=False)
        if limited and not loose:
            console.print(
                "What files have: secondsight info FILE. Speech and writing are found after 'index --speech --screen'.",
                style="dim", markup=False,
            )  # fmt: skip
        return
    if response.no_match:
        console.print(f"Nothing in this library seems to match {plain(query, 100)!r}. The nearest:", markup=False)
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    reasons = [beyond_looks(moment) for moment in response.moments]
    wide = console.width >= _WIDE
    room = console.width - (46 if wide else 27)  # for the names and the reasons
    names = [short_path(moment.media.path, room // 2 if any(reasons) else room) for moment in response.moments]
    longest = min(room, max(map(cell_len, names)))
    table.add_column("#", justify="right", style="dim", no_wrap=True)
    table.add_column("file", overflow="fold", min_width=longest)
    if wide:
        table.add_column("moment", no_wrap=True)
    table.add_column("open at", no_wrap=True, style="bold")
    table.add_column("score", justify="right", no_wrap=True)
    if any(reasons):
        left = max(8, room - longest)
        table.add_column("why", overflow="fold" if wide else "ellipsis", no_wrap=not wide, max_width=left, style="dim")
    for rank, (moment, name, told) in enumerate(zip(response.moments, names, reasons, strict=True), start=1):
        cells: list[str | Text] = [str(rank), Text(name)]
        cells += [stretch(moment.start_s, moment.end_s)] if wide else []
        cells += ["" if moment.peak_s is None else timecode(moment.peak_s), f"{moment.score:.2f}"]
        cells += [Text(told)] if any(reasons) else []
        table.add_row(*cells)
    console.print(table)
    for one in loose:
        console.print(f"{matches_without(one)} {plain(one.limit, 100)}", markup=False)
    fewer = 0 < response.matches < len(response.moments)
    if fewer and not response.no_match:
        likely = "1 result is" if response.matches == 1 else f"{response.matches} results are"
        console.print(f"{likely} likely what was asked; the others are only the nearest.", style="dim", markup=False)

"""`eval` and `feedback`: what the search is worth on known questions, and what people said of its results."""

from __future__ import annotations

import csv
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import MissingMedia, UsageError
from ui.console import err, out, print_json
from ui.text import count, parse_box, parse_reference, plain, timecode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from data.types import SearchResponse
    from search.engine import SearchEngine
    from search.evaluate import Case, Outcome

RESULTS = 10


def evaluate(queries: Path, misses: bool, library: Path | None, as_json: bool) -> None:
    from data import settings as configuration
    from search.engine import SearchEngine
    from search.evaluate import read_cases, run

    try:
        cases = read_cases(queries)
    except OSError as error:
        raise UsageError(f"{str(queries)!r} cannot be read: {error.strerror}.", remedy="Name a CSV file.") from None
    if not cases:
        raise UsageError(f"{str(queries)!r} holds no queries.", remedy="Add a line below the header.")
    settings = configuration.load(library=library)
    with SearchEngine(settings.library, settings=settings) as engine:
        engine.search("warm")  # loading is not searching
        outcomes = run(cases, asking(engine, queries.parent))
    if as_json:
        print_json(as_dict(outcomes))
        return
    table(outcomes)
    if misses:
        for one in outcomes:
            if one.case.truths and one.rank != 1:
                asked = plain(one.case.text or one.case.image, 80)
                where = "not among the first ten" if one.rank is None else f"the right file at {one.rank}"
                out().print(f"{asked!r}: {where}", markup=False)


def asking(engine: SearchEngine, pictures: Path) -> Callable[[Case], SearchResponse]:
    """How a case is asked: its image lies beside the table; a box asks for what looks like that part."""
    from data.types import Box, ImageQuery
    from search.pictures import look

    def ask(case: Case) -> SearchResponse:
        images = []
        if case.image:
            box = Box(*parse_box(case.box)) if case.box else None
            path, at_s = parse_reference(str(pictures / case.image))
            rgb = look(path, at_s=at_s, box=box, max_pixels=engine.settings.max_pixels)
            images.append(ImageQuery(rgb, label=case.image))
        return engine.search(engine.query(case.text, images=images, k=RESULTS))

    return ask


def as_dict(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    from search.evaluate import intervals, summary, times_ms

    def told(some: Sequence[Outcome]) -> dict[str, Any]:
        spread = intervals(some)
        return {
            name: {"value": None if math.isnan(value) else value, "interval": spread.get(name)}
            for name, value in summary(some).items()
        }

    types = sorted({one.case.type for one in outcomes} - {""})
    return {
        "measures": told(outcomes),
        "by_type": {kind: told([one for one in outcomes if one.case.type == kind]) for kind in types},
        "times_ms": {stage: {"median": mid, "p95": high} for stage, (mid, high) in times_ms(outcomes).items()},
        "queries": [
            {
                "query": one.case.text, "image": one.case.image, "rank": one.rank, "iou": one.iou,
                "seek_error_s": one.seek_error_s, "score": one.score,
            }
            for one in outcomes
        ],
    }  # fmt: skip


def table(outcomes: Sequence[Outcome]) -> None:
    """The measures with their intervals, and the times."""
    from rich.table import Table

    from search.evaluate import times_ms

    told = as_dict(outcomes)
    columns = {"all": told["measures"], **told["by_type"]}
    shown = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    shown.add_column("measure")
    for name in columns:
        shown.add_column(plain(name, 20), justify="right", no_wrap=True)
    for measure in told["measures"]:
        shown.add_row(measure, *(_cell(measure, column[measure], name) for name, column in columns.items()))
    out().print(shown)
    times = ", ".join(f"{stage} {mid:.0f} ({high:.0f})" for stage, (mid, high) in times_ms(outcomes).items())
    out().print(f"ms, median (95 %): {times}", markup=False)


def _cell(measure: str, told: dict[str, Any], column: str) -> str:
    value, interval = told["value"], told["interval"]
    if value is None:
        return ""
    if measure == "queries":
        return f"{value:.0f}"
    spread = f" {interval[0]:.2f}–{interval[1]:.2f}" if interval and column == "all" else ""
    return f"{value:.2f}{spread}"


def feedback_add(query: str, file: str, good: bool, library: Path | None, as_json: bool) -> None:
    from data import settings as configuration
    from data.store.lance import open_reader
    from search.feedback import Judgement, record

    settings = configuration.load(library=library)
    path, at_s = parse_reference(file)
    store = open_reader(settings.library)
    try:
        known = str(path) in store.files()
    finally:
        store.close()
    if not known:
        raise MissingMedia(f"{plain(path)} is not in this library.", remedy="Name a file that was found there.")
    judgement = Judgement(" ".join(query.split()), str(path), good)
    if at_s is not None:
        judgement = replace(judgement, start_s=at_s, end_s=at_s)
    record(settings.library, judgement)
    if as_json:
        print_json({"kept": asdict(judgement)})
    else:
        at = "" if at_s is None else f" at {timecode(at_s)}"
        out().print(f"Kept: {plain(path.name)}{at} is {'what' if good else 'not what'} {query!r} asks.", markup=False)


def feedback_export(bad: bool, library: Path | None, as_json: bool) -> None:
    from data import settings as configuration
    from data.store.manifest import read_manifest
    from search.feedback import COLUMNS, judgements

    settings = configuration.load(library=library)
    read_manifest(settings.library)  # a library is there
    rows = [one.row() for one in judgements(settings.library) if not (bad and one.good)]
    if as_json:
        print_json({"verdicts": rows})
        return
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    err().print(count(len(rows), "verdict"), style="dim", markup=False)

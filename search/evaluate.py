"""The measures of retrieval and localisation, over queries whose answers are known. Pure, but for `run`.

A result matches a truth when the medium is the same and temporal IoU >= m (R1@m: the first result matches); stills
match by medium. The seek error of a query is how far the first result's peak lies outside the true interval, counted
only where the first result is in the right medium. "No match" is judged by the AUROC of the best score over queries
with and without an answer (Hanley and McNeil 1982: the share of pairs in the right order, ties half).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.errors import UsageError
from data.types import SearchResponse

COLUMNS = ("query", "image", "file", "start_s", "end_s")


@dataclass(frozen=True, slots=True)
class Truth:
    """One right answer: a file name, and its interval in seconds when it has time."""

    file: str
    start_s: float | None
    end_s: float | None


@dataclass(frozen=True, slots=True)
class Case:
    """One query with all its right answers; none means that nothing in the library matches."""

    text: str
    image: str
    type: str
    truths: tuple[Truth, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back for one case.

    Attributes:
        rank: 1-based rank of the first result in a right medium, None when there is none.
        iou: temporal IoU of the first result with its best truth; 1 for a right still, 0 in a wrong medium.
        seek_error_s: None unless the first result is a right moment in time.
    """

    case: Case
    rank: int | None
    iou: float
    seek_error_s: float | None
    score: float


def read_cases(path: Path) -> list[Case]:
    """Rows of the same query and image are alternatives. Raises UsageError with the line of a bad row."""
    grouped: dict[tuple[str, str], tuple[str, list[Truth]]] = {}
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or [])]
        if missing:
            raise UsageError(f"{path} lacks the columns {missing}.", remedy=f"The header is {','.join(COLUMNS)}.")
        for row in rows:
            try:
                start_s, end_s = (float(row[name]) if row[name] else None for name in ("start_s", "end_s"))
            except ValueError as error:
                raise UsageError(f"{path}, line {rows.line_num}: {error}.") from None
            _, truths = grouped.setdefault((row["query"], row["image"]), (row.get("type") or "", []))
            if row["file"]:
                truths.append(Truth(row["file"], start_s, end_s))
    return [Case(text, image, kind, tuple(truths)) for (text, image), (kind, truths) in grouped.items()]


def run(cases: Iterable[Case], ask: Callable[[Case], SearchResponse]) -> list[Outcome]:
    """Ask every case and judge its answer."""
    return [judge(case, ask(case)) for case in cases]


def judge(case: Case, response: SearchResponse) -> Outcome:
    right = {truth.file for truth in case.truths}
    # A truth names its file relative to the library's folder, so a path ends with it.
    names = [next((name for name in right if _ends(moment.media.path, name)), None) for moment in response.moments]
    rank = next((place for place, name in enumerate(names, start=1) if name is not None), None)
    score = response.moments[0].score if response.moments else 0.0
    if rank != 1:
        return Outcome(case, rank, 0.0, None, score)
    first = response.moments[0]
    truths = [truth for truth in case.truths if truth.file == names[0]]
    if first.start_s is None or first.end_s is None or first.peak_s is None:
        return Outcome(case, rank, 1.0, None, score)
    timed = [(t.start_s, t.end_s) for t in truths if t.start_s is not None and t.end_s is not None]
    if not timed:
        return Outcome(case, rank, 1.0, None, score)
    iou = max(temporal_iou((first.start_s, first.end_s), truth) for truth in timed)
    error_s = min(max(start_s - first.peak_s, first.peak_s - end_s, 0.0) for start_s, end_s in timed)
    return Outcome(case, rank, iou, error_s, score)


def temporal_iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Intersection over union of two half-open intervals in seconds; 0 when both are empty."""
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - shared
    return shared / union if union > 0 else 0.0


def auroc(with_answer: Sequence[float], without: Sequence[float]) -> float:
    """Probability that a query with an answer scores higher than one without; NaN when either is empty."""
    if not len(with_answer) or not len(without):
        return float("nan")
    difference = np.asarray(with_answer)[:, None] - np.asarray(without)[None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def summary(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The measures of one run; shares over queries that have an answer."""
    answered = [one for one in outcomes if one.case.truths]
    timed = [one for one in answered if any(truth.start_s is not None for truth in one.case.truths)]
    errors = [one.seek_error_s for one in timed if one.seek_error_s is not None]

    def share(judged: Sequence[Outcome], passes: Callable[[Outcome], bool]) -> float:
        return float(np.mean([passes(one) for one in judged])) if judged else float("nan")

    return {
        "queries": len(outcomes),
        "medium@1": share(answered, lambda one: one.rank == 1),
        "medium@5": share(answered, lambda one: one.rank is not None and one.rank <= 5),
        "R1@0.3": share(timed, lambda one: one.iou >= 0.3),
        "R1@0.5": share(timed, lambda one: one.iou >= 0.5),
        "hit@1s": share(timed, lambda one: one.seek_error_s is not None and one.seek_error_s <= 1.0),
        "median_seek_error_s": float(np.median(errors)) if errors else float("nan"),
        "auroc_no_match": auroc(
            [one.score for one in answered], [one.score for one in outcomes if not one.case.truths]
        ),
    }


def _ends(path: Path, name: str) -> bool:
    wanted = Path(name).parts
    return path.parts[-len(wanted) :] == wanted

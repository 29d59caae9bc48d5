"""The measures of retrieval and localisation, over queries whose answers are known. Pure, but for `run`.

A result matches a truth when the medium is the same and temporal IoU >= m (R1@m: the first result matches); stills
match by medium. mAP is the mean over IoU .5, .55 ... .95 of the average precision of the moments returned
(QVHighlights, Lei et al. 2021), over queries with timed truths. The seek error of a query is how far the first result's
peak lies outside the true interval, counted only where the first result is in the right medium. "No match" is judged by
the AUROC of the best score over queries with and without an answer (Hanley and McNeil 1982: the share of pairs in the
right order, ties half).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.errors import UsageError
from data.types import Moment, SearchResponse
from search.feedback import unquoted

COLUMNS = ("query", "image", "file", "start_s", "end_s")
IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


@dataclass(frozen=True, slots=True)
class Truth:
    """One right answer: a file name, and its interval in seconds when it has time."""

    file: str
    start_s: float | None
    end_s: float | None


@dataclass(frozen=True, slots=True)
class Case:
    """One query with all its right answers; none means that nothing in the library matches.

    Attributes:
        box: "x,y,width,height" of the part of the image that is asked by; "" for all of it.
    """

    text: str
    image: str
    type: str
    truths: tuple[Truth, ...]
    box: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back for one case.

    Attributes:
        rank: 1-based rank of the first result in a right medium, None when there is none.
        iou: temporal IoU of the first result with its best truth; 1 for a right still, 0 in a wrong medium.
        precision: average precision over the IoUs; NaN where no truth has time.
        seek_error_s: None unless the first result is a right moment in time.
        timing_ms: of each stage of the search.
    """

    case: Case
    rank: int | None
    iou: float
    seek_error_s: float | None
    score: float
    precision: float = math.nan
    timing_ms: dict[str, float] = field(default_factory=dict)


def read_cases(path: Path) -> list[Case]:
    """Rows of the same query, image and box are alternatives; rows whose `verdict` is "bad" name no truth.

    Raises:
        UsageError: the file is not such a table; with the line of a bad row. OSError: it cannot be read.
    """
    grouped: dict[tuple[str, str, str], tuple[str, list[Truth]]] = {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        try:
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or [])]
            if missing:
                raise UsageError(f"{path} lacks the columns {missing}.", remedy=f"The header is {','.join(COLUMNS)}.")
            for row in rows:
                if (row.get("verdict") or "") == "bad":
                    continue
                start_s, end_s = (float(row[name]) if row[name] else None for name in ("start_s", "end_s"))
                key = (unquoted(row["query"] or ""), unquoted(row["image"] or ""), row.get("box") or "")
                if not key[0] and not key[1]:
                    raise UsageError(f"{path}, line {rows.line_num} asks for nothing.", remedy="Give query or image.")
                truths = grouped.setdefault(key, (row.get("type") or "", []))[1]
                if row["file"]:
                    truths.append(Truth(row["file"], start_s, end_s))
        except (ValueError, csv.Error) as error:  # also text that is not UTF-8
            raise UsageError(f"{path}, line {rows.line_num}: {error}.", remedy="Save it as CSV in UTF-8.") from None
    return [Case(text, image, kind, tuple(truths), box) for (text, image, box), (kind, truths) in grouped.items()]


def run(cases: Iterable[Case], ask: Callable[[Case], SearchResponse]) -> list[Outcome]:
    """Ask every case and judge its answer."""
    return [judge(case, ask(case)) for case in cases]


def judge(case: Case, response: SearchResponse) -> Outcome:
    # A truth names its file relative to the library's folder, so a path ends with it.
    names = [_right(moment, case) for moment in response.moments]
    rank = next((place for place, name in enumerate(names, start=1) if name is not None), None)
    score = response.moments[0].score if response.moments else 0.0
    precision = _precision(case, response.moments, names)
    iou, error_s = 0.0, None
    if rank == 1:
        first = response.moments[0]
        timed = _timed(case, names[0])
        iou = 1.0
        if timed and first.start_s is not None and first.end_s is not None and first.peak_s is not None:
            peak_s = first.peak_s
            iou = max(temporal_iou((first.start_s, first.end_s), truth) for truth in timed)
            error_s = min(max(start_s - peak_s, peak_s - end_s, 0.0) for start_s, end_s in timed)
    return Outcome(case, rank, iou, error_s, score, precision, response.timing_ms)


def temporal_iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Intersection over union of two half-open intervals in seconds; 0 when both are empty."""
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - shared
    return shared / union if union > 0 else 0.0


def average_precision(right: Sequence[bool], total: int) -> float:
    """Mean over the truths of the precision at the rank each is found at; one never found counts 0.

    Args:
        right: by rank, whether the result finds a truth that no better one has found. total: truths, at least 1.
    """
    found, sum_ = 0, 0.0
    for rank, one in enumerate(right, start=1):
        if one:
            found += 1
            sum_ += found / rank
    return sum_ / total


def auroc(with_answer: Sequence[float], without: Sequence[float]) -> float:
    """Probability that a query with an answer scores higher than one without; NaN when either is empty."""
    if not len(with_answer) or not len(without):
        return math.nan
    difference = np.asarray(with_answer)[:, None] - np.asarray(without)[None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def summary(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The measures of one run; shares over queries that have an answer."""
    answered = [one for one in outcomes if one.case.truths]
    timed = [one for one in answered if any(truth.start_s is not None for truth in one.case.truths)]
    errors = [one.seek_error_s for one in timed if one.seek_error_s is not None]
    precise = [one.precision for one in answered if not math.isnan(one.precision)]

    def share(judged: Sequence[Outcome], passes: Callable[[Outcome], bool]) -> float:
        return float(np.mean([passes(one) for one in judged])) if judged else math.nan

    def within(most: int) -> Callable[[Outcome], bool]:
        return lambda one: one.rank is not None and one.rank <= most

    return {
        "queries": len(outcomes),
        "medium@1": share(answered, within(1)),
        "medium@5": share(answered, within(5)),
        "medium@10": share(answered, within(10)),
        "R1@0.3": share(timed, lambda one: one.iou >= 0.3),
        "R1@0.5": share(timed, lambda one: one.iou >= 0.5),
        "mAP": float(np.mean(precise)) if precise else math.nan,
        "hit@1s": share(timed, lambda one: one.seek_error_s is not None and one.seek_error_s <= 1.0),
        "median_seek_error_s": float(np.median(errors)) if errors else math.nan,
        "auroc_no_match": auroc(
            [one.score for one in answered], [one.score for one in outcomes if not one.case.truths]
        ),
    }


def intervals(outcomes: Sequence[Outcome], *, rounds: int = 1000, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Of each measure, where 95 % of its values lie when the queries are drawn again with replacement (Efron 1979)."""
    if not outcomes:
        return {}
    rng = np.random.default_rng(seed)
    rows = [summary([outcomes[i] for i in rng.integers(len(outcomes), size=len(outcomes))]) for _ in range(rounds)]
    out = {}
    for name in rows[0]:
        values = np.asarray([row[name] for row in rows])
        values = values[~np.isnan(values)]
        if name != "queries" and len(values):
            low, high = np.quantile(values, [0.025, 0.975])
            out[name] = (float(low), float(high))
    return out


def times_ms(outcomes: Sequence[Outcome]) -> dict[str, tuple[float, float]]:
    """Stage -> (median, 95th percentile) over the queries."""
    stages = dict.fromkeys(stage for one in outcomes for stage in one.timing_ms)
    out = {}
    for stage in stages:
        spent = [one.timing_ms[stage] for one in outcomes if stage in one.timing_ms]
        out[stage] = (float(np.median(spent)), float(np.quantile(spent, 0.95)))
    return out


def _timed(case: Case, file: str | None) -> list[tuple[float, float]]:
    return [
        (truth.start_s, truth.end_s)
        for truth in case.truths
        if truth.file == file and truth.start_s is not None and truth.end_s is not None
    ]


def _precision(case: Case, moments: Sequence[Moment], names: Sequence[str | None]) -> float:
    total = sum(truth.start_s is not None and truth.end_s is not None for truth in case.truths)
    if not total:
        return math.nan
    out = []
    for least in IOUS:
        free = {name: _timed(case, name) for name in set(names) if name is not None}
        right = []
        for moment, name in zip(moments, names, strict=True):
            hit = None
            if name is not None and moment.start_s is not None and moment.end_s is not None:
                stretch = (moment.start_s, moment.end_s)
                hit = max(free[name], key=lambda truth: temporal_iou(stretch, truth), default=None)
            found = hit is not None and temporal_iou(stretch, hit) >= least
            if found and name is not None and hit is not None:
                free[name].remove(hit)
            right.append(found)
        out.append(average_precision(right, total))
    return float(np.mean(out))


def _right(moment: Moment, case: Case) -> str | None:
    """The file of a truth that a moment is in. A copy folded into it counts where no second is asked for."""
    for truth in case.truths:
        wanted = Path(truth.file).parts
        media = (moment.media, *moment.same) if truth.start_s is None else (moment.media,)
        if any(item.path.parts[-len(wanted) :] == wanted for item in media):
            return truth.file
    return None

"""Learn what a find in each channel adds to what is seen, on questions whose answers are known.

    python -m benchmarks.learn_weights LIBRARY=QUERIES.csv [LIBRARY=QUERIES.csv ...]

The weights are those of search/fuse.py (HEIGHTS of what is found beside plain words, DEMANDED where the query names the
channel) and the power of search/mentions.py. Everything that does not depend on them is computed once: each question's
curve of what is seen over every candidate, and the places where its words, tags and colours stand. The goal is the mean
over the questions of "the right medium first" and, where the truth has times, "IoU of .3 or more". Coordinate search
over a grid, from the weights set by hand, in a seeded order; five folds by medium: no file answers a question of the
part that was learned from and of the part that is judged. Beside it stand the weights set by hand, equal ones, those in
use (learned from all of these, so no judgement of them), what is seen alone, and weighted reciprocal rank fusion
(Cormack et al. 2009) over the channels, whose weights are learned in the same way.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.settings import load
from data.types import MediaItem, Moment, Query, SearchResponse, Segment
from search import answers, fuse, mentions, moments, retrieve
from search.background import Background
from search.channels import Event, events_of
from search.engine import FIRST_DEPTH, STRETCHES_TO_JOIN, SearchEngine, _filter
from search.evaluate import Case, judge, read_cases

FOLDS, SEED, K = 5, 0, 10
GRID = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
POWERS = (0.5, 1.0, 1.5, 2.0, 3.0)
RRF_GRID = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
RANKED = ("caption", "meaning", "speech", "screen", "tag", "color")
RRF_RANK = 60.0  # Cormack's constant
Weights = tuple[float, ...]
NAMES = (*(f"plain {name}" for name in fuse.HEIGHTS), *(f"demanded {name}" for name in fuse.DEMANDED), "power")


@dataclass(frozen=True, slots=True)
class Known:
    """One event in one medium: its view without what is told of it, and the places with their share and BM25's part."""

    view: retrieve.View
    places: tuple[tuple[tuple[mentions.Place, float], ...], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    case: Case
    query: Query
    events: tuple[Event, ...]
    media: dict[str, tuple[Known, ...]]
    engine: SearchEngine
    background: Background


def use(weights: Weights) -> None:
    split = len(fuse.HEIGHTS)
    fuse.HEIGHTS.update(zip(fuse.HEIGHTS, weights[:split], strict=True))
    fuse.DEMANDED.update(zip(fuse.DEMANDED, weights[split:-1], strict=True))
    mentions.SHARE_POWER = weights[-1]


def prepare(engine: SearchEngine, case: Case) -> Asked:
    """As SearchEngine.search up to the curves, with so little height that only where something is told is known."""
    use(WHISPERED)
    query = engine.query(case.text, k=K)
    background = engine._background()
    events = events_of(query, engine.models.joint, engine.store, background.sample)
    fusions = [retrieve.fit(event, background) for event in events]
    found = retrieve.ask(engine.store, events, 4 * FIRST_DEPTH, _filter(query), engine._background_of_captions())
    media = {}
    for media_id in found.media_ids:
        known = []
        for event, fusion, places in zip(events, fusions, found.places, strict=True):
            view = retrieve.view(engine.store, media_id, event, places, fusion, background)
            known.append(Known(view, tuple(_split(by_medium.get(media_id, ())) for by_medium in places)))
        media[media_id] = tuple(known)
    return Asked(case, query, tuple(events), _that_can_win(media), engine, background)


def _split(places: Sequence[mentions.Place]) -> tuple[tuple[mentions.Place, float], ...]:
    """WHISPERED's power is 1, so what is left of the strength without the share is BM25's part."""
    return tuple((place, place.strength / place.share) for place in places)


def _that_can_win(media: dict[str, tuple[Known, ...]]) -> dict[str, tuple[Known, ...]]:
    """Of the media of which nothing is told, the best stands for all, whatever the weights; chains need every one."""
    told, untold = {}, {}
    for media_id, known in media.items():
        some = any(curve.strength.any() for one in known for curve in one.view.curves)
        (told if some or len(known) > 1 else untold)[media_id] = known
    best = max(untold, key=lambda media_id: _highest(untold[media_id][0]), default=None)
    return told if best is None else told | {best: untold[best]}


def _highest(known: Known) -> float:
    return float(known.view.relevance.max(initial=-np.inf))


def view_by(known: Known, event: Event) -> retrieve.View:
    """The view with what is told of it, by the weights in use."""
    curves = []
    relevance = known.view.relevance.copy()
    for mention, curve, places in zip(event.mentions, known.view.curves, known.places, strict=True):
        if places:
            power = mentions.SHARE_POWER
            told = [
                replace(place, strength=place.share**power * rest) if place.channel != "meaning" else place
                for place, rest in places
            ]
            curve = mentions.text_curve(told, known.view.frames, retrieve.heights_of(mention))
        curves.append(curve)
        if mention.term.weight > 0:
            relevance += retrieve.height_of(mention, curve)
    return replace(known.view, curves=tuple(curves), relevance=relevance)


def first(asked: Asked, weights: Weights) -> Moment | None:
    """The best answer by these weights."""
    use(weights)
    return _best_moment(asked, {media_id: _views(asked, media_id) for media_id in asked.media})


def _views(asked: Asked, media_id: str) -> list[retrieve.View]:
    return [view_by(known, event) for known, event in zip(asked.media[media_id], asked.events, strict=True)]


def _best_moment(asked: Asked, views: dict[str, list[retrieve.View]]) -> Moment | None:
    found: list[answers.Found] = []
    if len(asked.events) == 1:
        best = max(views, key=lambda media_id: float(views[media_id][0].relevance.max(initial=-np.inf)), default=None)
        views = {} if best is None else {best: views[best]}
    for media_id, rows in views.items():
        sights = []
        for event, view in zip(asked.events, rows, strict=True):
            most = 1 if len(rows) == 1 else STRETCHES_TO_JOIN
            cut = moments.stretches(view.relevance, most=most, segment_of_frame=view.frames.segment_of_frame)
            sights.append([answers.Sight(event, view, stretch) for stretch in cut])
        found.extend(answers.joined(media_id, sights))
    found = sorted(found, key=lambda one: -one.height)[:K]
    told = [_moment(asked, one) for one in found]
    return max(told, key=lambda one: one.score, default=None) if len(asked.events) > 1 else (told[0] if told else None)


def _moment(asked: Asked, found: answers.Found) -> Moment:
    item, shots = _medium(asked.engine, found.media_id)
    return answers.moment(found, item, shots, asked.engine.models.joint, asked.background)


@cache
def _medium(engine: SearchEngine, media_id: str) -> tuple[MediaItem, Sequence[Segment]]:
    [item] = engine.store.media([media_id])
    return item, engine.store.segments(media_id)


def worth(asked: Asked, moment: Moment | None) -> float:
    """Of one question: the right medium first, and IoU >= .3 where that can be."""
    case = asked.case
    outcome = judge(case, SearchResponse(asked.query, () if moment is None else (moment,), False, {}))
    right = float(outcome.rank == 1)
    timed = any(truth.start_s is not None for truth in case.truths)
    return (right + float(outcome.iou >= 0.3)) / 2 if timed else right


def reciprocal(asked: Asked, weights: Weights) -> Moment | None:
    """Weighted reciprocal rank fusion of the media over what is seen and each told channel; the moment is that of the
    channel that gives most. Chains have no single ranking: they stay as they are.

    Args:
        weights: of RANKED beside 1 for what is seen.
    """
    if len(asked.events) > 1:
        return first(asked, HAND)
    event = asked.events[0]
    of_channel = dict(zip(RANKED, weights, strict=True))
    strongest: dict[str, dict[str, float]] = {"seen": {}}
    for media_id, (known,) in asked.media.items():
        height = _highest(known)
        if height == -np.inf:
            continue
        if event.parts:
            strongest["seen"][media_id] = height
        for mention, curve, places in zip(event.mentions, known.view.curves, known.places, strict=True):
            if mention.term.weight <= 0:
                continue
            told = [(place.channel, place.strength) for place, _ in places]
            if not mention.in_texts:
                told = [(mention.channel, float(curve.strength.max(initial=0.0)))]
            for channel, strength in told:
                row = strongest.setdefault(channel, {})
                row[media_id] = max(row.get(media_id, 0.0), strength)
    gain: dict[str, dict[str, float]] = {}
    for channel, row in strongest.items():
        for rank, media_id in enumerate(sorted(row, key=lambda one: -row[one]), start=1):
            if row[media_id] > 0 or channel == "seen":
                part = of_channel.get(channel, 1.0) / (RRF_RANK + rank)
                gain.setdefault(media_id, {})[channel] = part
    if not gain:
        return None
    best = max(gain, key=lambda media_id: sum(gain[media_id].values()))
    loudest = max(gain[best], key=lambda channel: gain[best][channel])
    use((*[0.0 if loudest == "seen" else 100.0] * (len(HAND) - 1), 1.0))
    return _best_moment(asked, {best: _views(asked, best)})


def learned(
    rows: Sequence[int],
    scores: Callable[[Weights], npt.NDArray[np.float64]],
    start: Weights,
    grids: Sequence[Sequence[float]],
) -> Weights:
    """The best of coordinate searches from every value of the last weight, on which the others' best depends."""
    found = [_climbed(rows, scores, (*start[:-1], last), grids) for last in grids[-1]]
    return max(found, key=lambda weights: float(scores(weights)[rows].mean()))


def _climbed(
    rows: Sequence[int],
    scores: Callable[[Weights], npt.NDArray[np.float64]],
    start: Weights,
    grids: Sequence[Sequence[float]],
) -> Weights:
    """One weight after another to its best value on the grid, until a round betters nothing."""
    rng = np.random.default_rng(SEED)
    best, height = start, float(scores(start)[rows].mean())
    for _ in range(4):
        before = height
        for place in rng.permutation(len(start)):
            for value in grids[place]:
                tried = (*best[:place], value, *best[place + 1 :])
                mean = float(scores(tried)[rows].mean())
                if mean > height + 1e-9:
                    best, height = tried, mean
        if height == before:
            break
    return best


def remembered(
    asked: Sequence[Asked],
    answer: Callable[[Asked, Weights], Moment | None],
    matters: Callable[[Asked], frozenset[int]],
) -> Callable[[Weights], npt.NDArray[np.float64]]:
    """weights -> (questions,) what each answer is worth; a question is asked again only where a weight of its changes.

    Args:
        matters: places of the weights on which a question's answer can depend.
    """
    on = [sorted(matters(one)) for one in asked]
    kept: dict[tuple[int, Weights], float] = {}

    def scores(weights: Weights) -> npt.NDArray[np.float64]:
        out = np.zeros(len(asked))
        for number, one in enumerate(asked):
            key = number, tuple(weights[place] for place in on[number])
            if key not in kept:
                kept[key] = worth(one, answer(one, weights))
            out[number] = kept[key]
        return out

    return scores


def told_by(asked: Asked) -> set[tuple[bool, str]]:
    """(demanded, channel) of all that is told of any candidate."""
    out = set()
    for known in asked.media.values():
        for one, event in zip(known, asked.events, strict=True):
            for mention, places in zip(event.mentions, one.places, strict=True):
                channels = {place.channel for place, _ in places} if mention.in_texts else {mention.channel}
                out.update((mention.demanded, channel) for channel in channels)
    return out


def heights_that_matter(asked: Asked) -> frozenset[int]:
    told = told_by(asked)
    names = [(False, name) for name in fuse.HEIGHTS] + [(True, name) for name in fuse.DEMANDED]
    power = {len(names)} if any(channel not in ("meaning", "tag", "color") for _, channel in told) else set()
    return frozenset({place for place, name in enumerate(names) if name in told} | power)


def ranks_that_matter(asked: Asked) -> frozenset[int]:
    channels = {channel for _, channel in told_by(asked)} if len(asked.events) == 1 else set()
    return frozenset(place for place, name in enumerate(RANKED) if name in channels)


def folds_of(cases: Sequence[Case]) -> npt.NDArray[np.int64]:
    """The fold of each question: that of the medium that answers it first."""
    media = sorted({case.truths[0].file for case in cases})
    fold = dict(zip(np.random.default_rng(SEED).permutation(media), np.arange(len(media)) % FOLDS, strict=True))
    return np.asarray([fold[case.truths[0].file] for case in cases])


def interval(differences: npt.NDArray[np.float64]) -> str:
    """Mean with where 95 % of the means lie when the questions are drawn again."""
    rng = np.random.default_rng(SEED)
    means = differences[rng.integers(len(differences), size=(2000, len(differences)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{differences.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", help="LIBRARY=QUERIES.csv")
    asked: list[Asked] = []
    names: list[str] = []
    engines: dict[str, SearchEngine] = {}
    for given in parser.parse_args().sets:
        library, _, queries = given.partition("=")
        if library not in engines:
            settings = load(library=Path(library), localise=0)
            engines[library] = SearchEngine(settings.library, settings=settings)
        engine = engines[library]
        for case in read_cases(Path(queries)):
            if case.text and not case.image and case.truths:
                asked.append(prepare(engine, case))
                names.append(f"{Path(library).name} {Path(queries).stem}")
    fold = folds_of([one.case for one in asked])
    kinds = np.asarray([f"{name} {one.case.type}" for name, one in zip(names, asked, strict=True)])
    scores = remembered(asked, first, heights_that_matter)
    by_ranks = remembered(asked, reciprocal, ranks_that_matter)
    grids = [*[GRID] * (len(HAND) - 1), POWERS]
    everything = list(range(len(asked)))
    results = {
        "by hand": scores(HAND),
        "equal": scores((*[2.0] * (len(HAND) - 1), 1.0)),
        "seen alone": scores(SEEN_ALONE),
        "in use": scores(IN_USE),
        "learned": np.zeros(len(asked)),
        "reciprocal ranks, equal": by_ranks((1.0,) * len(RANKED)),
        "reciprocal ranks, learned": np.zeros(len(asked)),
    }
    for number in range(FOLDS):
        rest, held = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        best = learned(rest, scores, HAND, grids)
        results["learned"][held] = scores(best)[held]
        print(f"fold {number}: {told(best)}", flush=True)
        ranks = learned(rest, by_ranks, (1.0,) * len(RANKED), [RRF_GRID] * len(RANKED))
        results["reciprocal ranks, learned"][held] = by_ranks(ranks)[held]
    print(f"of all: {told(learned(everything, scores, HAND, grids))}")
    heads = [kind for kind in dict.fromkeys(kinds)]
    print("| | all | " + " | ".join(f"{head} ({(kinds == head).sum()})" for head in heads) + " |")
    for name, values in results.items():
        cells = [f"{values.mean():.3f}", *(f"{values[kinds == head].mean():.2f}" for head in heads)]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for name, values in results.items():
        if name != "by hand":
            print(f"{name} less by hand: {interval(values - results['by hand'])}")


def told(weights: Weights) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in zip(NAMES, weights, strict=True))


HAND: Weights = (3.0, 2.0, 2.0, 2.0, 3.0, 2.0, 2.0, 2.0, 2.0, 1.0)  # before anything was learned
IN_USE: Weights = (*fuse.HEIGHTS.values(), *fuse.DEMANDED.values(), mentions.SHARE_POWER)
SEEN_ALONE: Weights = (*[0.0] * (len(HAND) - 1), 1.0)
WHISPERED: Weights = (*[1e-6] * (len(HAND) - 1), 1.0)

if __name__ == "__main__":
    main()

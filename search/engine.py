"""SearchEngine.search(): the stages in order, readable top to bottom."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from data.errors import IndexMismatch
from data.settings import Settings, load
from data.store.base import Filter, Store
from data.types import Box, Evidence, ImageQuery, Moment, Query, SearchResponse
from models.base import ModelSet
from search import fuse, localise, moments, retrieve
from search.query import build

FIRST_DEPTH = 200  # frames asked of the store per part and round
LEAST_PROBABILITY = 0.5  # under it for the best moment, nothing matches


@dataclass(frozen=True, slots=True)
class _Found:
    """A stretch of one candidate, with what every part says at its peak."""

    candidate: retrieve.Candidate
    stretch: moments.Stretch
    similarities: npt.NDArray[np.float32]  # (parts,)


class SearchEngine:
    """One library, open for questions. Safe to use from one thread at a time.

    Args:
        library: folder of the library; None: the one of the settings.
        models: the profile the library was made with; None: loaded when first needed, as the manifest names it.

    Raises:
        LibraryNotFound, IndexMismatch, LibraryDamaged: as opening finds it.
    """

    def __init__(
        self, library: Path | None = None, models: ModelSet | None = None, settings: Settings | None = None
    ) -> None:
        from data.store.lance import open_reader, read_manifest

        self.settings = settings or load()
        self.library = Path(library or self.settings.library)
        self.manifest = read_manifest(self.library)
        self._models = models
        if models is not None:
            self._check(models)
        self.store: Store = open_reader(self.library)

    @cached_property
    def models(self) -> ModelSet:
        if self._models is None:
            from models.registry import load as load_models

            self._models = load_models(self.manifest.profile, self.settings)
            self._check(self._models)
        return self._models

    def search(self, query: Query | str) -> SearchResponse:
        """The moments that match, best first.

        Args:
            query: a checked query (search.query.build), or words.

        Returns:
            Up to query.k moments, never fewer when more exist; no_match when none is likely to be what was asked.
        """
        query = build(query) if isinstance(query, str) else query
        timing = _Timing()
        with timing("embed"):
            parts = retrieve.parts_of(query, self.models.joint)
            weights = [part.weight for part in parts]
        where = _filter(query)
        depth = max(FIRST_DEPTH, 4 * query.k)
        with timing("retrieve"):
            fusion = fuse.fit(retrieve.sample(self.store, parts), weights)
        while True:
            with timing("retrieve"):
                hits = retrieve.hits(self.store, parts, depth, where)
                found = retrieve.candidates(self.store, parts, hits)
            with timing("moments"):
                stretches = _stretches(found, fusion, query)
            everything_seen = all(len(part_hits) < depth for part_hits in hits)
            if len(stretches) >= query.k or everything_seen:
                break
            depth *= 4
        with timing("score"):
            answers = self._moments(query, parts, stretches[: query.k])
        with timing("localise"):
            answers = self._localised(query, answers, parts, fusion, stretches)
        no_match = not answers or answers[0].score < LEAST_PROBABILITY
        return SearchResponse(query, tuple(answers), no_match, timing.total())

    def similar(
        self,
        path: Path,
        *,
        at_s: float | None = None,
        box: Box | None = None,
        k: int = 10,
        kinds: Sequence[str] = (),
    ) -> SearchResponse:
        """What looks like a picture, a paused frame of a video, or a box in either; never the thing itself.

        Raises:
            MediaError: the file cannot be read. UsageError: the second or the box lies outside it.
        """
        from data.media import picture

        rgb = picture(path, at_s=at_s, box=box, max_pixels=self.settings.max_pixels)
        own = self.store.files().get(os.path.abspath(path))
        query = build(images=[ImageQuery(rgb, label=path.name)], kinds=kinds, k=k)
        return self.search(replace(query, exclude_media_id=own.media_id if own else None, exclude_at_s=at_s))

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, models: ModelSet) -> None:
        ours = {channel: identity.as_dict() for channel, identity in models.identities().items()}
        theirs = dict(self.manifest.models)
        if ours != theirs:
            raise IndexMismatch(
                f"The library {str(self.library)!r} was made with {_names(theirs)}, not with {_names(ours)}.",
                remedy="Index the files again into another --library.",
            )

    def _moments(self, query: Query, parts: Sequence[retrieve.Part], chosen: Sequence[_Found]) -> list[Moment]:
        if not chosen:
            return []
        similarities = np.stack([found.similarities for found in chosen], axis=1)  # (parts, moments)
        matches = np.concatenate(
            [
                self.models.joint.match_probability(part.vector[None], similarities[row : row + 1], part.modality)
                for row, part in enumerate(parts)
            ]
        )
        scores = fuse.probability(matches, [part.weight for part in parts])
        ranks = np.argsort(np.argsort(-similarities, axis=1, kind="stable"), axis=1) + 1
        media = {item.media_id: item for item in self.store.media([found.candidate.media_id for found in chosen])}
        out = []
        for column, found in enumerate(chosen):
            item = media.get(found.candidate.media_id)
            if item is None:  # removed by a writer since it was found
                continue
            times_s = found.candidate.frames.times_s
            if item.info.duration_s is None:
                start_s = peak_s = end_s = None
            else:
                shots = self.store.segments(item.media_id)
                start_s, peak_s, end_s = moments.interval(
                    found.stretch, times_s, found.candidate.frames.segment_of_frame, shots
                )
            evidence = tuple(
                Evidence(
                    channel=part.channel,
                    rank=int(ranks[row, column]),
                    score=float(similarities[row, column]),
                    time_s=peak_s,
                    detail=f"{'unlike' if part.weight < 0 else 'looks like'} {part.label!r}",
                )
                for row, part in enumerate(parts)
            )
            out.append(Moment(item, start_s, peak_s, end_s, float(scores[column]), evidence))
        return out

    def _localised(
        self,
        query: Query,
        answers: list[Moment],
        parts: Sequence[retrieve.Part],
        fusion: fuse.Fusion,
        stretches: Sequence[_Found],
    ) -> list[Moment]:
        best = [place for place, moment in enumerate(answers) if moment.peak_s is not None][: self.settings.localise]
        if not best:
            return answers
        spots = [self._spot(answers[place], stretches) for place in best]
        asked = np.stack([part.vector for part in parts])
        peaks = localise.localise(spots, asked, fusion, self.models.joint, picture_side=self.models.picture_side)
        for place, peak_s in zip(best, peaks, strict=True):
            if len(query.images) == 1 and not query.text:
                same_s = localise.same_frame(answers[place].media, peak_s, query.images[0].rgb)
                peak_s = peak_s if same_s is None else same_s
            answers[place] = _opened_at(answers[place], peak_s)
        return answers

    def _spot(self, moment: Moment, stretches: Sequence[_Found]) -> localise.Spot:
        """Between the sampled neighbours of the peak, inside the moment."""
        frames = next(
            found.candidate.frames for found in stretches if found.candidate.media_id == moment.media.media_id
        )
        peak_s, start_s, end_s = moment.peak_s or 0.0, moment.start_s or 0.0, moment.end_s or 0.0
        place = int(np.searchsorted(frames.times_s, peak_s))
        before = frames.times_s[place - 1] if place > 0 else start_s
        after = frames.times_s[place + 1] if place + 1 < len(frames.times_s) else end_s
        return localise.Spot(moment.media, max(start_s, float(before)), peak_s, min(end_s, float(after)))


def _stretches(found: Sequence[retrieve.Candidate], fusion: fuse.Fusion, query: Query) -> list[_Found]:
    """Moments of all candidates on one scale, best first."""
    out = []
    for candidate in found:
        for stretch in moments.stretches(fusion(candidate.similarities), most=query.k):
            if not _is_the_query_itself(candidate, stretch, query):
                out.append(_Found(candidate, stretch, candidate.similarities[:, stretch.peak]))
    return sorted(out, key=lambda item: -item.stretch.height)


def _opened_at(moment: Moment, peak_s: float) -> Moment:
    """The very frame may lie in a quiet stretch beside the moment, which then reaches to it."""
    start_s, end_s = moment.start_s or 0.0, moment.end_s or 0.0
    return replace(
        moment,
        peak_s=peak_s,
        start_s=min(start_s, peak_s),
        end_s=max(end_s, float(np.nextafter(peak_s, np.inf))),
    )


def _is_the_query_itself(candidate: retrieve.Candidate, stretch: moments.Stretch, query: Query) -> bool:
    if query.exclude_at_s is None or candidate.media_id != query.exclude_media_id:
        return False
    times_s = candidate.frames.times_s
    before = times_s[stretch.first - 1] if stretch.first else -np.inf
    after = times_s[stretch.last + 1] if stretch.last + 1 < len(times_s) else np.inf
    return bool(before <= query.exclude_at_s <= after)


def _filter(query: Query) -> Filter:
    whole = query.exclude_media_id is not None and query.exclude_at_s is None
    return Filter(kinds=query.kinds, exclude_media_ids=(query.exclude_media_id,) if whole else ())


def _names(models: dict[str, dict[str, object]]) -> str:
    return ", ".join(f"{model['name']} ({model['revision']})" for model in models.values())


class _Timing:
    """Milliseconds a stage, summed over its rounds."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._spent: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._spent[stage] = self._spent.get(stage, 0.0) + (time.perf_counter() - started) * 1000

    def total(self) -> dict[str, float]:
        spent = {**self._spent, "total": (time.perf_counter() - self._started) * 1000}
        return {stage: round(ms, 2) for stage, ms in spent.items()}

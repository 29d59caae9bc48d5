"""SearchEngine.search(): the stages in order, readable top to bottom."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from data import colors
from data.errors import UsageError
from data.settings import Settings, load
from data.store.base import MEANING, Filter, Store
from data.store.manifest import check_matches
from data.types import Box, Color, ImageQuery, Pixels, Query, SearchResponse, Vectors
from models.base import ModelSet
from search import answers, fold, fuse, localise, moments, rerank, retrieve, same
from search.background import Background
from search.channels import CHANNEL, Event, events_of
from search.pictures import look, parse_reference
from search.query import build
from search.timing import Timing

_LOG = logging.getLogger(__name__)

FIRST_DEPTH = 200  # frames asked of the store per part and round
LEAST_PROBABILITY = 0.5  # under it for the best moment, nothing matches
STRETCHES_TO_JOIN = 50  # per event and medium


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
        from data.store.lance import open_reader

        self.settings = settings or load()
        self.library = Path(library or self.settings.library)
        self._models = models
        store = open_reader(self.library, None if models is None else _identities(models))
        self.store: Store = store
        self.manifest = store.manifest
        self._backgrounds: dict[str, tuple[tuple[int, bytes], Background]] = {}

    @classmethod
    def ready(cls, settings: Settings) -> Self:
        """The library of the settings with its models loaded, both at once: one question waits for the slower only.

        Raises:
            As the constructor. ModelError: the models cannot be had.
        """
        with ThreadPoolExecutor(1) as beside:
            models = beside.submit(_loaded, settings)
            engine = cls(settings.library, settings=settings)
            engine._models = models.result()
        check_matches(engine.library, engine.manifest, _identities(engine._models))
        return engine

    @cached_property
    def models(self) -> ModelSet:
        if self._models is None:
            from models import registry

            profile = registry.of_library(self.manifest.profile, self.settings)
            self._models = registry.load(profile, self.settings)
            check_matches(self.library, self.manifest, _identities(self._models))
        return self._models

    def query(
        self,
        text: str = "",
        *,
        images: Sequence[ImageQuery] = (),
        kinds: Sequence[str] = (),
        k: int = 10,
        group_by: str = "",
        files: bool = True,
    ) -> Query:
        """A line of the query language read against this library: its fields are known, image:FILE is opened.

        Args:
            files: whether the text may name pictures on this machine.

        Raises:
            As search.query.build.
        """
        known = self.fields() if group_by or re.search(r"[:<>=]", text) else {}
        if group_by and group_by not in known:
            has = f"fields: {', '.join(sorted(known))}" if known else "no fields"
            raise UsageError(f"This library has no field {group_by!r} to group by.", remedy=f"It has {has}.")
        opener = self._picture if files else None
        return build(text, images=images, kinds=kinds, k=k, group_by=group_by, fields=known, open_picture=opener)

    def fields(self) -> dict[str, type]:
        """The owner's fields in this library: name -> str, float or bool; str where media differ."""
        out: dict[str, type] = {}
        for item in self.store.media():
            for name, value in item.fields.items():
                kind = bool if isinstance(value, bool) else str if isinstance(value, str) else float
                out[name] = kind if out.get(name, kind) is kind else str
        return out

    def search(self, query: Query | str) -> SearchResponse:
        """The moments that match, best first.

        Args:
            query: a checked query (`query`, or search.query.build), or a line in the query language.

        Returns:
            Up to query.k moments, never fewer when more exist; no_match when none is likely to be what was asked.
        """
        query = self.query(query) if isinstance(query, str) else query
        timing = Timing()
        best, event, fusion, background = self._best(query, timing)
        with timing("rerank"):
            best = rerank.reranked(query, best, self.models, self.settings)
        with timing("localise"):
            best = self._localised(query, best, event, fusion, background)
        if query.steps:  # chains are ranked by their heights: what is shown stands by its score
            best = sorted(best, key=lambda answer: -answer.moment.score)
        found_moments = tuple(answer.moment for answer in best)
        matches = sum(moment.score >= LEAST_PROBABILITY for moment in found_moments)
        no_match = not best or found_moments[0].score < LEAST_PROBABILITY
        return SearchResponse(query, found_moments, no_match, timing.total(), matches)

    def count(self, query: Query) -> int:
        """How many of the first query.k moments are likely what was asked: `search` without its second look."""
        best, *_ = self._best(query, Timing())
        return sum(answer.moment.score >= LEAST_PROBABILITY for answer in best)

    def _best(self, query: Query, timing: Timing) -> tuple[list[answers.Answer], Event, fuse.Fusion, Background]:
        """The answers by what is stored, best first, and what the first event was compared by."""
        with timing("embed"):
            background = self._background()
            events = events_of(query, self.models.joint, self.store, background.sample)
            fusions = [retrieve.fit(event, background) for event in events]
        where = _filter(query)
        depth = max(FIRST_DEPTH, 4 * query.k)
        while True:
            with timing("retrieve"):
                asked = retrieve.ask(self.store, events, depth, where, self._background_of_captions())
            with timing("moments"):
                found = self._found(query, events, fusions, asked, background)
                kept = self._folded(query, found)
            if len(kept) >= query.k or asked.complete:
                break
            depth *= 4
        with timing("score"):
            return self._answers(kept, background), events[0], fusions[0], background

    def similar(
        self,
        path: Path,
        *,
        at_s: float | None = None,
        box: Box | None = None,
        k: int = 10,
        kinds: Sequence[str] = (),
        exact: bool = False,
        color_weight: float = 0.0,
        group_by: str = "",
    ) -> SearchResponse:
        """What looks like a picture, a paused frame of a video, or a box in either.

        Args:
            exact: only the very same picture, whatever its size and compression, its own medium included; otherwise
                what looks alike, never the thing itself, not even as another copy of the same bytes.
            color_weight: how much the very colours count beside what is shown.

        Raises:
            MediaError: the file cannot be read. UsageError: it is a film and no second is given, or the second or the
                box lies outside it.
        """
        rgb = look(path, at_s=at_s, box=box, max_pixels=self.settings.max_pixels)
        query = self.query(images=[ImageQuery(rgb, label=path.name)], kinds=kinds, k=k, group_by=group_by)
        query = replace(query, color_weight=color_weight)
        if exact:
            return same.only_the_same(
                self.search(replace(query, k=max(k, same.LOOKED_AT))), rgb, k, self.settings.max_pixels
            )
        return self.search(replace(query, exclude_media_id=self._content_of(path), exclude_at_s=at_s))

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _picture(self, name: str) -> Pixels:
        path, at_s = parse_reference(name)
        return look(path, at_s=at_s, max_pixels=self.settings.max_pixels)

    def _content_of(self, path: Path) -> str | None:
        """The content hash, from the library where the file is known there, otherwise from its bytes."""
        own = self.store.files().get(os.path.abspath(path))
        return own.media_id if own is not None and own.media_id else _content_hash(path)

    def _background(self) -> Background:
        """Of the library as it is now; a writer may have changed it since the last question."""
        return self._kept_background("frames", self.store.sample_vectors(CHANNEL, retrieve.SAMPLE_FRAMES))

    def _background_of_captions(self) -> Background:
        sample = self.store.sample_meanings(retrieve.SAMPLE_FRAMES)
        return self._kept_background("captions", sample, self._captions_compare)

    def _captions_compare(self) -> bool:
        """Whether the vectors of the captions are by today's model of words; a remark where they are not."""
        today = self.models.joint.identity.of_words
        former = sum(stages.get(MEANING, today) != today for stages in self.store.stages().values())
        if former:
            _LOG.warning(
                "The captions of %d of the media were read by an older model: captions are found by their words only. "
                "Run `secondsight index` to renew them.",
                former,
            )
        return not former

    def _kept_background(self, name: str, sample: Vectors, compare: Callable[[], bool] = lambda: True) -> Background:
        """compare: whether the sample compares with this engine's questions; otherwise it is as if there were none."""
        key = (len(sample), sample[:, 0].tobytes())
        if name not in self._backgrounds or self._backgrounds[name][0] != key:
            kept = sample if compare() else sample[:0]
            self._backgrounds[name] = key, Background(self.models.joint, self.settings.cache / "search", kept)
        return self._backgrounds[name][1]

    def _found(
        self,
        query: Query,
        events: Sequence[Event],
        fusions: Sequence[fuse.Fusion],
        asked: retrieve.Found,
        background: Background,
    ) -> list[answers.Found]:
        """Answers in all candidates on one scale, best first."""
        palette, left_out = _palette(query), _left_out(query)
        out = []
        for media_id in asked.media_ids:
            rows: list[list[answers.Sight]] = []
            for number, (event, fusion, places) in enumerate(zip(events, fusions, asked.places, strict=True)):
                colours, weight = (palette, query.color_weight) if number == 0 else ((), 0.0)
                view = retrieve.view(self.store, media_id, event, places, fusion, background, colours, weight)
                most = query.k + len(left_out) if len(events) == 1 else STRETCHES_TO_JOIN
                most = 1 if np.isnan(view.frames.times_s).all() else most  # of a still its best part
                cut = moments.stretches(view.relevance, most=most, segment_of_frame=view.frames.segment_of_frame)
                rows.append([answers.Sight(event, view, stretch) for stretch in cut])
            out.extend(answers.joined(media_id, rows))
        out = [found for found in out if not any(found.media_id == of and _holds(found, at_s) for of, at_s in left_out)]
        return sorted(out, key=lambda found: -found.height)

    def _folded(self, query: Query, found: Sequence[answers.Found]) -> list[fold.Kept[answers.Found]]:
        if query.group_by:
            media = {item.media_id: item for item in self.store.media(list({one.media_id for one in found}))}
            found = fold.best_of_groups(
                found, lambda one: media[one.media_id].fields.get(query.group_by) if one.media_id in media else None
            )
        return fold.copies(found, query.k, vector=lambda one: one.sights[0].vector, medium=lambda one: one.media_id)

    def _answers(self, kept: Sequence[fold.Kept[answers.Found]], background: Background) -> list[answers.Answer]:
        ids = [one.media_id for group in kept for one in (group.item, *group.same)]
        media = {item.media_id: item for item in self.store.media(ids)}
        here = [group for group in kept if group.item.media_id in media]  # a writer may have removed one meanwhile
        told = answers.evidence([group.item for group in here])
        out = []
        for group, found_lines in zip(here, told, strict=True):
            lines = answers.boxed(found_lines, group.item, media[group.item.media_id])
            item, shots = media[group.item.media_id], self.store.segments(group.item.media_id)
            moment = answers.moment(group.item, item, shots, self.models.joint, background)
            shown = [item, *(media[one.media_id] for one in group.same if one.media_id in media)]
            copies = (*shown[1:], *(replace(one, path=path) for one in shown for path in one.copies))
            out.append(answers.Answer(group.item, replace(moment, evidence=lines, same=copies)))
        return out

    def _localised(
        self, query: Query, best: list[answers.Answer], event: Event, fusion: fuse.Fusion, background: Background
    ) -> list[answers.Answer]:
        """The best answers opened at the exact second; what rests on a word has its second already."""
        timed = [place for place, answer in enumerate(best) if answer.spot is not None][: self.settings.localise]
        spots = [spot for place in timed if (spot := best[place].spot) is not None]
        if not spots:
            return best

        def relevance(vectors: Vectors) -> npt.NDArray[np.float32]:
            return fusion(retrieve.similarities(event, vectors, background))

        peaks = localise.localise(
            spots,
            relevance,
            self.models.joint,
            picture_side=self.models.picture_side,
            max_pixels=self.settings.max_pixels,
        )
        grounder = self.models.grounder
        for place, peak_s in zip(timed, peaks, strict=True):
            moment, asked = best[place].moment, " ".join(term.text for term in query.terms if term.weight > 0)
            if len(query.images) == 1 and not query.terms and moment.media.media_id != query.exclude_media_id:
                same_s = same.same_frame(moment.media, peak_s, query.images[0].rgb, self.settings.max_pixels)
                peak_s = peak_s if same_s is None else same_s
            elif grounder is not None and asked and not query.steps:
                moment, peak_s = localise.grounded(
                    moment,
                    peak_s,
                    asked,
                    grounder,
                    picture_side=self.models.picture_side,
                    max_pixels=self.settings.max_pixels,
                )
            best[place] = replace(best[place], moment=answers.opened_at(moment, peak_s))
        return best


def _identities(models: ModelSet) -> dict[str, dict[str, Any]]:
    return {channel: identity.as_dict() for channel, identity in models.identities().items()}


def _loaded(settings: Settings) -> ModelSet:
    from data.store.manifest import read_manifest
    from models import registry

    models = registry.load(registry.of_library(read_manifest(settings.library).profile, settings), settings)
    if warm := getattr(models.joint, "warm", None):
        warm()
    return models


def _palette(query: Query) -> tuple[Color, ...]:
    """The colours of the pictures that attract."""
    if query.color_weight <= 0:
        return ()
    pixels = [image.rgb.reshape(-1, 3) for image in query.images if image.weight > 0]
    return colors.dominant(np.concatenate(pixels)) if pixels else ()


def _left_out(query: Query) -> list[tuple[str, float | None]]:
    """(medium, second) of the moments a person refused, and of the one that the query picture was taken from."""
    places = [(place.media_id, place.time_s) for place in query.disliked]
    if query.exclude_at_s is not None and query.exclude_media_id is not None:
        places.append((query.exclude_media_id, query.exclude_at_s))
    return places


def _holds(found: answers.Found, at_s: float | None) -> bool:
    sight = found.sights[0]
    times_s, stretch = sight.view.frames.times_s, sight.stretch
    before = times_s[stretch.first - 1] if stretch.first else -np.inf
    after = times_s[stretch.last + 1] if stretch.last + 1 < len(times_s) else np.inf
    return at_s is None or bool(before <= at_s <= after)


def _filter(query: Query) -> Filter:
    whole = query.exclude_media_id is not None and query.exclude_at_s is None
    excluded = (query.exclude_media_id,) if whole and query.exclude_media_id else ()
    return Filter(kinds=query.kinds, exclude_media_ids=excluded, conditions=query.conditions)


def _content_hash(path: Path) -> str | None:
    """As the indexer names contents (blake2b-160); None when it cannot be read any more."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
    except OSError:
        return None

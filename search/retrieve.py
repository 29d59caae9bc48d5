"""Candidates: each part of a query asks the store on its own; what any of them finds is looked at by all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from data.store.base import Filter, FrameVectors, Store
from data.types import Color
from search import fuse, meaning, mentions
from search.background import SAMPLE, Background
from search.channels import CHANNEL, Event, Mention

SAMPLE_FRAMES = 2048  # enough for a mean and a deviation to two digits
PALETTE_HEIGHT = 3.0  # what the very colours of the query's picture add at color_weight 1, in deviations
# From where on an unwanted colour or tag is there; words are there when all of them are.
_THERE = {"color": 0.15, "tag": 0.3}


@dataclass(frozen=True, slots=True)
class Found:
    """What one round of asking brought.

    Attributes:
        media_ids: candidates.
        places: per event and mention, where its words were found, by medium.
        complete: nothing more would come from asking deeper.
    """

    media_ids: tuple[str, ...]
    places: tuple[tuple[dict[str, list[mentions.Place]], ...], ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class View:
    """One event over all frames of one medium.

    Attributes:
        similarities: (parts, n), the frames' biases taken off where words are asked. standing: the same, see Fusion.
        curves: of its mentions, in order. palette: agreement with the query's colours, (n,) or None.
        relevance: (n,), 0 the library's average frame; -inf where a demand is not met.
    """

    frames: FrameVectors
    similarities: npt.NDArray[np.float32]
    standing: npt.NDArray[np.float32]
    curves: tuple[mentions.Curve, ...]
    palette: npt.NDArray[np.float32] | None
    relevance: npt.NDArray[np.float32]


def similarities(
    event: Event, vectors: npt.NDArray[np.float32], background: Background, media_id: str = ""
) -> npt.NDArray[np.float32]:
    """(n, dim) frames -> (parts, n). Words are held against neutral questions at the same frame, by its bias.

    Args:
        media_id: whose frames they are, all of them; "" for any other frames.
    """
    if not event.parts:
        return np.zeros((0, len(vectors)), np.float32)
    out: npt.NDArray[np.float32] = np.stack([part.vector for part in event.parts]) @ vectors.T
    words = [row for row, part in enumerate(event.parts) if part.modality == "text"]
    if words:
        asked = np.stack([event.parts[row].vector for row in words])
        out[words] -= background.bias(asked, vectors, media_id)
    return out


def fit(event: Event, background: Background) -> fuse.Fusion:
    """The event's fusion over a sample of the library."""
    sample = similarities(event, background.sample, background, SAMPLE)
    if not sample.shape[1]:
        sample = np.zeros((len(event.parts), 1), np.float32)
    return fuse.fit(sample, [part.weight for part in event.parts])


def ask(store: Store, events: Sequence[Event], depth: int, where: Filter, captions: Background | None = None) -> Found:
    """The `depth` nearest frames of every part that attracts and the `depth` best spans of every wanted mention.

    What is not demanded word for word is also looked for among the `depth` captions nearest in meaning.

    What is unwanted is looked for in all that is said and written in the candidates, however many say it better.
    """
    complete = True
    by_vector: dict[str, None] = {}
    by_words: dict[str, None] = {}
    must: set[str] | None = None
    all_places: list[list[dict[str, list[mentions.Place]]]] = []
    for event in events:
        all_places.append([])
        for mention in event.mentions:
            places: dict[str, list[mentions.Place]] = {}
            if mention.in_texts and mention.term.weight > 0:
                places, all_found = mentions.in_texts(store, mention, depth, where)
                complete &= all_found
                if mention.demanded:
                    must = set(places) if must is None else must & set(places)
                else:
                    for vector in event.vectors_of(mention.term):
                        for media_id, meant in meaning.places(store, vector, captions, depth, where).items():
                            places.setdefault(media_id, []).extend(meant)
                    by_words.update(dict.fromkeys(places))
            all_places[-1].append(places)
    if must is None:
        for event in events:
            for part in event.parts:
                if part.weight > 0:
                    hits = store.search_vectors(CHANNEL, part.vector, depth, where)
                    complete &= len(hits) < depth
                    by_vector.update(dict.fromkeys(hit.media_id for hit in hits))
    chosen = tuple(by_vector | by_words) if must is None else tuple(must)
    if chosen:
        in_chosen = replace(where, media_ids=chosen)
        for event, of_event in zip(events, all_places, strict=True):
            for number, mention in enumerate(event.mentions):
                if mention.in_texts and mention.term.weight < 0:
                    of_event[number] = mentions.everywhere_in_texts(store, mention, depth, in_chosen)
    return Found(chosen, tuple(map(tuple, all_places)), complete)


def view(
    store: Store,
    media_id: str,
    event: Event,
    places: Sequence[dict[str, list[mentions.Place]]],
    fusion: fuse.Fusion,
    background: Background,
    palette: Sequence[Color] = (),
    palette_weight: float = 0.0,
) -> View:
    """All that is known of one event in one medium, as curves over its frames.

    Args:
        places: per mention, as `ask` found them.
        palette: colours of the query's picture; they count when palette_weight is over 0.
    """
    frames = store.frame_vectors(CHANNEL, media_id)
    if not any(part.channel == "picture" for part in event.parts):
        frames = _wholes(frames)
    seen = similarities(event, frames.vectors, background, media_id)
    relevance = fusion(seen) if event.parts else np.zeros(len(frames.times_s), np.float32)
    relevance[fusion.unwanted(seen)] = -np.inf
    needs_segments = palette_weight > 0 or any(not mention.in_texts for mention in event.mentions)
    segments = store.segments(media_id) if needs_segments else []
    curves = []
    for mention, by_medium in zip(event.mentions, places, strict=True):
        if mention.in_texts:
            curve = mentions.text_curve(by_medium.get(media_id, ()), frames, heights_of(mention))
        else:
            curve = mentions.segment_curve(mention, segments, frames)
        curves.append(curve)
        if mention.term.weight < 0:
            relevance[curve.strength > _THERE.get(mention.channel, 0.0)] = -np.inf
            continue
        relevance += height_of(mention, curve)
        if mention.demanded:
            relevance[curve.strength <= 0] = -np.inf
    agreement = None
    if palette_weight > 0:
        agreement = mentions.palette_curve(palette, segments, frames).strength
        relevance += PALETTE_HEIGHT * palette_weight * agreement
    return View(frames, seen, fusion.standing(seen), tuple(curves), agreement, relevance)


def _wholes(frames: FrameVectors) -> FrameVectors:
    """Words are held against whole pictures: parts of stills would crowd out the films (docs/search.md)."""
    keep = ~np.isnan(frames.times_s) | (frames.segment_of_frame == 0)
    if keep.all():
        return frames
    return FrameVectors(frames.times_s[keep], frames.segment_of_frame[keep], frames.vectors[keep])


def heights_of(mention: Mention) -> dict[str, float]:
    return fuse.DEMANDED if mention.demanded else fuse.HEIGHTS


def height_of(mention: Mention, curve: mentions.Curve) -> npt.NDArray[np.float32]:
    """(n,) what a mention adds at each frame, in deviations."""
    of_channel = heights_of(mention)
    heights = np.full(len(curve.strength), of_channel.get(mention.channel, 0.0), np.float32)
    for index, place in enumerate(curve.places):
        heights[curve.place_of_frame == index] = of_channel[place.channel]
    return heights * curve.strength * np.float32(mention.term.weight)

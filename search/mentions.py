"""Where words, tags and colours are found, as curves over the frames of a medium."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data import colors, vocabulary
from data.store.base import Filter, FrameVectors, Store
from data.types import Color, Segment, TextSpan
from search import words
from search.channels import Mention

# Of the share of the question's words that stand in a text: one word of many says little. Learned as fuse.HEIGHTS.
SHARE_POWER = 2.0
_AT_THE_WORD = 1.02  # a sentence's curve is flat but for the second at which its word falls


# A text that holds every word of the question answers it with this probability; fewer words count by their square.
TEXT_TRUST = 0.9
# A caption that means the same adds so much of its own probability: by itself it never passes one half.
MEANING_TRUST = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """One span in which something was found.

    Attributes:
        strength: in [0, 1]: share of the words, raised or lowered by BM25's order; or how near the meanings are.
        share: of the question's words that stand there; of a meaning the probability that it is the one asked for.
        second: where to open; None for a still.
        similarity: cosine of question and text where it was found by its meaning, otherwise None.
    """

    span: TextSpan
    strength: float
    share: float
    words: tuple[str, ...]
    second: float | None
    similarity: float | None = None

    @property
    def channel(self) -> str:
        return self.span.channel if self.similarity is None else "meaning"

    @property
    def told(self) -> float:
        """The probability that what is asked is told here."""
        return TEXT_TRUST * self.share**2 if self.similarity is None else MEANING_TRUST * self.share


@dataclass(frozen=True, slots=True)
class Curve:
    """Strength of one mention over the frames of one medium.

    Attributes:
        strength: (n,) in [0, 1].
        told: (n,) probability that it is told there, by whichever place says most.
        place_of_frame: (n,) index into places, -1 where nothing was found or it is not from a text.
    """

    strength: npt.NDArray[np.float32]
    told: npt.NDArray[np.float32]
    place_of_frame: npt.NDArray[np.int32]
    places: Sequence[Place]


def in_texts(store: Store, mention: Mention, k: int, where: Filter) -> tuple[dict[str, list[Place]], bool]:
    """media_id -> the places where a mention was read or heard, best first, out of the k best spans; if that is all."""
    term = mention.term
    hits = store.search_texts(term.text, k, where, channels=mention.text_channels, phrase=term.phrase)
    out: dict[str, list[Place]] = defaultdict(list)
    best = max((hit.score for hit in hits), default=0.0)
    for hit in hits:
        share, found = words.found(term.text, hit.span.text, phrase=term.phrase)
        if share > 0:
            strength = share**SHARE_POWER * (0.5 + 0.5 * hit.score / max(best, 1e-9))
            second = words.first_second(term.text, hit.span)
            out[hit.media_id].append(Place(hit.span, strength, share, found, second))
    return out, len(hits) < k


def everywhere_in_texts(store: Store, mention: Mention, k: int, where: Filter) -> dict[str, list[Place]]:
    """As in_texts, every place that holds all the words: a coffee table is no dining table. k: spans asked at first."""
    while True:
        places, complete = in_texts(store, mention, k, where)
        if complete:
            return {media_id: [one for one in some if one.share == 1] for media_id, some in places.items()}
        k *= 4


def text_curve(places: Sequence[Place], frames: FrameVectors, heights: Mapping[str, float]) -> Curve:
    """heights: what a full find in a channel counts; where several were made, the one that counts most is the curve."""
    strength, best, told = np.zeros((3, len(frames.times_s)), np.float32)
    owner = np.full(len(frames.times_s), -1, np.int32)
    for index, place in enumerate(places):
        if place.span.start_s is None or place.span.end_s is None:
            inside, at = np.arange(len(strength)), 0
        else:
            second = place.span.start_s if place.second is None else place.second
            at = max(int(np.searchsorted(frames.times_s, second + 1e-6, side="right")) - 1, 0)
            inside = np.flatnonzero((frames.times_s >= place.span.start_s) & (frames.times_s < place.span.end_s))
            inside = np.union1d(inside, [at])
        values = np.full(len(inside), place.strength, np.float32)
        values[inside == at] *= _AT_THE_WORD
        counts = values * np.float32(heights[place.channel])
        better = counts > best[inside]
        strength[inside[better]], best[inside[better]], owner[inside[better]] = values[better], counts[better], index
        told[inside] = np.maximum(told[inside], place.told)
    return Curve(strength, told, owner, places)


def segment_curve(mention: Mention, segments: Sequence[Segment], frames: FrameVectors) -> Curve:
    """Of a tag or a colour: what the segment of each frame has of it."""
    name = mention.term.text.casefold()
    if mention.channel == "tag":
        wanted = [{stem for stem, _ in words.pieces(tag)} for tag in vocabulary.english(name)]
        of_segment = [_tag(wanted, segment) for segment in segments]
    else:
        of_segment = [_color(name, segment) for segment in segments]
    return _by_segment(of_segment, frames)


def _by_segment(of_segment: Sequence[float], frames: FrameVectors) -> Curve:
    values = np.asarray(of_segment or [0.0], np.float32)
    rows = np.clip(frames.segment_of_frame, 0, len(values) - 1)
    strength = values[rows]
    return Curve(strength, TEXT_TRUST * strength**2, np.full(len(rows), -1, np.int32), ())


def _tag(wanted: Sequence[set[str]], segment: Segment) -> float:
    """wanted: the words of each name that will do."""
    best = 0.0
    for tag in segment.tags:
        stems = {stem for stem, _ in words.pieces(tag.name)}
        if tag.probability > best and any(each <= stems for each in wanted):
            best = tag.probability
    return best


def _color(name: str, segment: Segment) -> float:
    wanted = colors.parse(name)
    return 0.0 if wanted is None else colors.share(segment.colors, wanted)


def palette_curve(asked: Sequence[Color], segments: Sequence[Segment], frames: FrameVectors) -> Curve:
    """How much of a picture's colours each frame's segment has: the part of both palettes that agrees, in [0, 1]."""
    of_segment = [sum(min(one.share, colors.share(segment.colors, one)) for one in asked) for segment in segments]
    return _by_segment(of_segment, frames)

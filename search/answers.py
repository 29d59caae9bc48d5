"""From what was found to moments with a score and the evidence for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from data.crops import crops
from data.types import Evidence, MediaItem, Moment, Segment
from models.base import JointEmbedder
from search import fuse, joins, localise, moments, words
from search.background import Background
from search.channels import Event
from search.mentions import TEXT_TRUST, Place
from search.retrieve import View, height_of


@dataclass(frozen=True, slots=True)
class Sight:
    """One event at its place in a medium."""

    event: Event
    view: View
    stretch: moments.Stretch

    @property
    def anchor(self) -> Place | None:
        """The text it rests on, when that speaks louder at the peak than what is seen: then it opens at the word."""
        peak, loudest, anchor = self.stretch.peak, 0.0, None
        heard = 0.0
        for mention, curve in zip(self.event.mentions, self.view.curves, strict=True):
            index = int(curve.place_of_frame[peak])
            if index < 0 or mention.term.weight < 0:
                continue
            height = float(height_of(mention, curve)[peak])
            heard += height
            if height > loudest and curve.places[index].span.channel != "caption":
                loudest, anchor = height, curve.places[index]
        seen = float(self.view.relevance[peak]) - heard
        return anchor if loudest > seen or not self.event.parts else None

    @property
    def vector(self) -> npt.NDArray[np.float32]:
        return self.view.frames.vectors[self.stretch.peak]


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate answer: one sight an event, all in one medium.

    Attributes:
        order: probability that several events happened in the order asked.
    """

    media_id: str
    sights: tuple[Sight, ...]
    height: float
    order: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    found: Found
    moment: Moment

    @property
    def spot(self) -> localise.Spot | None:
        """Where a closer look may find a better second: between the sampled neighbours of the peak, in the moment."""
        sight, moment = self.found.sights[0], self.moment
        if moment.peak_s is None or moment.start_s is None or moment.end_s is None or sight.anchor is not None:
            return None
        if not sight.event.parts:
            return None
        times_s, peak = sight.view.frames.times_s, sight.stretch.peak
        before = times_s[peak - 1] if peak > 0 else moment.start_s
        after = times_s[peak + 1] if peak + 1 < len(times_s) else moment.end_s
        from_s, to_s = max(moment.start_s, float(before)), min(moment.end_s, float(after))
        return localise.Spot(moment.media, from_s, moment.peak_s, to_s)


def opened_at(moment: Moment, peak_s: float) -> Moment:
    """The very frame may lie in a quiet stretch beside the moment, which then reaches to it."""
    start_s, end_s = moment.start_s or 0.0, moment.end_s or 0.0
    after_s = float(np.nextafter(peak_s, np.inf))
    return replace(moment, peak_s=peak_s, start_s=min(start_s, peak_s), end_s=max(end_s, after_s))


def interval(sight: Sight, shots: Sequence[Segment]) -> tuple[float, float, float]:
    """(start_s, peak_s, end_s): the stretch of frames, or the words themselves where the sight rests on them."""
    frames = sight.view.frames
    start_s, peak_s, end_s = moments.interval(sight.stretch, frames.times_s, frames.segment_of_frame, shots)
    anchor = sight.anchor
    if anchor is None or anchor.second is None or anchor.span.start_s is None or anchor.span.end_s is None:
        return start_s, peak_s, end_s
    end_s = max(anchor.span.end_s, float(np.nextafter(anchor.second, np.inf)))
    return min(anchor.span.start_s, anchor.second), anchor.second, end_s


def score(sight: Sight, model: JointEmbedder, background: Background) -> float:
    """Probability that an event is there: its pictures or its words answer, every demand is met, nothing unwanted."""
    peak, parts = sight.stretch.peak, sight.event.parts
    rows = [row for row, part in enumerate(parts) if part.channel in ("words", "picture")]
    read = [parts[row] for row in rows]
    seen = 1.0
    if read:
        matches = [_match(sight, row, model, background) for row in rows]
        column = np.asarray(matches, np.float32)[:, None]
        seen = float(fuse.probability(column, [part.weight for part in read])[0])
    told, demanded = [], 1.0
    for mention, curve in zip(sight.event.mentions, sight.view.curves, strict=True):
        if mention.term.weight < 0:
            continue
        if not mention.demanded:
            told.append(float(curve.told[peak]))
        elif mention.in_texts:
            index = int(curve.place_of_frame[peak])
            demanded *= TEXT_TRUST * (curve.places[index].share if index >= 0 else float(curve.strength[peak]))
    # Tags and colours are demands that the curve has enforced already; how large a red patch is, is no probability.
    wanted = any(part.weight > 0 for part in read)
    return (fuse.either(seen, told) if wanted else seen) * demanded


def _match(sight: Sight, row: int, model: JointEmbedder, background: Background) -> float:
    similarity, peak = sight.view.similarities[row, sight.stretch.peak], sight.stretch.peak
    part = sight.event.parts[row]
    vector = part.vector
    if part.modality is None:
        return fuse.there(float(sight.view.standing[row, peak]))
    if part.modality == "text":
        return float(background.probability(similarity))
    raw = np.asarray([[float(sight.view.frames.vectors[peak] @ vector)]], np.float32)
    return float(model.match_probability(vector[None], raw, "image")[0, 0])


def moment(
    found: Found, item: MediaItem, shots: Sequence[Segment], model: JointEmbedder, background: Background
) -> Moment:
    """From the first event's start to the last one's end, opening at the first one's peak.

    Several events are as probable as all of them at once, taken as depending on each other as much as on nothing: the
    geometric mean, times the probability that they are in the order asked.
    """
    start_s = peak_s = end_s = None
    if item.info.duration_s is not None:
        intervals = [interval(sight, shots) for sight in found.sights]
        start_s, peak_s, end_s = min(i[0] for i in intervals), intervals[0][1], max(i[2] for i in intervals)
    scores = [score(sight, model, background) for sight in found.sights]
    return Moment(item, start_s, peak_s, end_s, found.order * float(np.prod(scores) ** (1 / len(scores))))


def joined(media_id: str, rows: Sequence[Sequence[Sight]]) -> list[Found]:
    """Answers of one medium: its sights, or with several events the chains of them that are in the order asked."""
    if len(rows) == 1:
        return [Found(media_id, (sight,), sight.stretch.height) for sight in rows[0]]
    spans = [[_span(sight) for sight in row] for row in rows]
    steps = [
        (sight_row[0].event.relation or "then", sight_row[0].event.within_s) for sight_row in rows[1:] if sight_row
    ]
    if len(steps) < len(rows) - 1:  # an event that nowhere holds
        return []
    out, turned = [], joins.turned(spans, steps)
    for chain in joins.chains(spans, steps):
        sights = tuple(row[place] for row, place in zip(rows, chain.places, strict=True))
        out.append(Found(media_id, sights, chain.height, joins.in_order(chain.height, turned)))
    return out


def _span(sight: Sight) -> joins.Span:
    """In time as far as the frames know it; stills lie at 0 all together, so that only "while" can hold."""
    times_s, stretch = np.nan_to_num(sight.view.frames.times_s), sight.stretch
    after = stretch.last + 1
    end_s = times_s[after] if after < len(times_s) else np.nextafter(times_s[-1], np.inf)
    return joins.Span(float(times_s[stretch.first]), float(times_s[stretch.peak]), float(end_s), stretch.height)


def evidence(chosen: Sequence[Found]) -> list[tuple[Evidence, ...]]:
    """Of every answer: what each channel says at its peak, with its rank among the answers in that channel."""
    rows = [[line for number, sight in enumerate(found.sights) for line in _lines(number, sight)] for found in chosen]
    ranks: dict[tuple[int, str, str], list[float]] = {}
    for lines in rows:
        for key, line in lines:
            ranks.setdefault(key, []).append(line.score)
    for scores in ranks.values():
        scores.sort(reverse=True)
    return [
        tuple(
            Evidence(line.channel, 1 + ranks[key].index(line.score), line.score, line.time_s, line.detail, line.words)
            for key, line in lines
        )
        for lines in rows
    ]


def boxed(lines: Sequence[Evidence], found: Found, item: MediaItem) -> tuple[Evidence, ...]:
    """The evidence of a still that answers by a part of it says which."""
    sight = found.sights[0]
    part = int(sight.view.frames.segment_of_frame[sight.stretch.peak])
    if item.info.duration_s is not None or part == 0:
        return tuple(lines)
    box = crops(item.info.width, item.info.height)[part - 1]
    where = f" in the part {box.x},{box.y},{box.width},{box.height}"
    return tuple(
        replace(line, detail=line.detail + where, box=box) if line.channel == "picture" else line for line in lines
    )


def _lines(number: int, sight: Sight) -> list[tuple[tuple[int, str, str], Evidence]]:
    peak = sight.stretch.peak
    time_s = float(sight.view.frames.times_s[peak])
    at_s = None if time_s != time_s else time_s
    vector = sight.vector
    out = []
    for part in sight.event.parts:
        if part.channel == "color":  # its share is told below
            continue
        verb = "unlike" if part.weight < 0 else "looks like"
        detail = part.label if part.channel == "any" else f"{verb} {part.label!r}"
        line = Evidence(part.channel, 0, float(part.vector @ vector), at_s, detail)
        out.append(((number, part.channel, part.label), line))
    for mention, curve in zip(sight.event.mentions, sight.view.curves, strict=True):
        strength = float(curve.strength[peak])
        if strength <= 0 or mention.term.weight < 0:
            continue
        index = int(curve.place_of_frame[peak])
        if index < 0:
            line = Evidence(mention.channel, 0, strength, at_s, f"{mention.channel} {mention.term.text!r}")
        elif (place := curve.places[index]).similarity is not None:
            line = Evidence("meaning", 0, place.similarity, place.second, f"described as {place.span.text!r}")
        else:
            verb = {"speech": "said", "screen": "written", "caption": "described"}[place.span.channel]
            detail = f"{verb}: {words.joined(place.words)}"
            line = Evidence(place.span.channel, 0, min(strength, 1.0), place.second, detail, place.words)
        out.append(((number, line.channel, mention.term.text), line))
    if sight.view.palette is not None:
        agreement = float(sight.view.palette[peak])
        out.append(((number, "color", ""), Evidence("color", 0, agreement, at_s, f"{agreement:.0%} of the colours")))
    return out

"""A model's answer -> captions, stretches, boxes, answers. Nothing is trusted and nothing is made up.

An answer that cannot be read gives None, and the caller asks once more at other settings before it notes a failure.
Times are clamped to what the model was shown, repetitions are cut, sizes are bounded.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from data.types import Box
from models.base import Answer, Caption, CaptionEvent, Citation, Clip, Grounding
from models.qwen3vl import fields, loose_json
from models.qwen3vl.times import seconds

LONGEST_ANSWER = 8_000
POINT_S = 1.0  # how long something lasts that was given one second only
_SPAN_OF_BOXES = 1000.0  # Qwen3-VL's corners run from 0 to 1000 of width and height

_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.I)
_THOUGHT_END = re.compile(r"</think(?:ing)?>", re.I)


def caption(text: str, clip: Clip, language: str = "en") -> Caption | None:
    """One caption, its events inside the clip's segment; None when the answer holds no sentence that can be used."""
    answer = _body(text)
    found = next(filter(None, (_caption_of(value, clip, language) for value in loose_json.values(answer))), None)
    return found or _caption_of(fields.timed_lines(answer), clip, language)


def stretches(text: str, clip: Clip) -> tuple[Grounding, ...] | None:
    """When something holds, in time order, overlapping ones joined; () for "it does not", None for unreadable."""
    answer = _body(text)
    seen_empty = False
    for value in loose_json.values(answer):
        found = [grounding for item in fields.items(value) if (grounding := _grounding(item, clip)) is not None]
        if found:
            return _joined(found)
        seen_empty = seen_empty or not fields.leaves(value)
    found = [g for item in fields.timed_lines(answer) if (g := _grounding(item, clip)) is not None]
    if found:
        return _joined(found)
    return () if seen_empty or fields.NOTHING.fullmatch(answer) else None


def boxes(text: str, width: int, height: int) -> tuple[Box, ...] | None:
    """Boxes in the picture's pixels, inside it; () for "it is not there", None for unreadable.

    Args:
        width, height: the picture's size in pixels, which the model's 0 to 1000 are scaled to.
    """
    answer = _body(text)
    seen_empty = False
    for value in loose_json.values(answer):
        found = [box for corners in _corners(value) if (box := _box(corners, width, height)) is not None]
        if found:
            return tuple(dict.fromkeys(found))[: fields.MOST_ITEMS]
        seen_empty = seen_empty or not fields.leaves(value)
    return () if seen_empty or fields.NOTHING.fullmatch(answer) else None


def answer(text: str, clips: Sequence[Clip]) -> Answer | None:
    """An answer with the stretches it rests on; None when unreadable.

    A citation of a clip that was not shown, or of seconds outside it, is dropped; an answer that is left without any
    rests on nothing that was shown and counts as no answer.
    """
    for value in loose_json.values(_body(text)):
        if not isinstance(value, dict):
            continue
        words = fields.sentence(fields.first(value, ("answer", *fields.TEXT)), LONGEST_ANSWER)
        if not words:
            continue
        said = fields.first(value, ("answered", "answerable", "found", "已回答"))
        found = fields.first(value, ("citations", "citation", "sources", "evidence", "references", "引用"))
        cited = tuple(dict.fromkeys(filter(None, (_citation(item, clips) for item in fields.items(found)))))
        cited = cited[: fields.MOST_ITEMS]
        answered = bool(cited) and said is not False and str(said).strip().lower() not in ("false", "no", "否")
        return Answer(words, answered, cited if answered else ())
    return None


def _body(text: str) -> str:
    """The answer without the thinking before it."""
    text = _THOUGHT.sub("", text[: loose_json.LONGEST])
    return _THOUGHT_END.split(text)[-1].strip()


def _caption_of(value: Any, clip: Clip, language: str) -> Caption | None:
    if isinstance(value, list):
        inner = next((v for v in value if isinstance(v, dict) and fields.first(v, fields.EVENTS) is not None), None)
        value = inner if inner is not None else {"events": value}
    if not isinstance(value, dict):
        return None
    for wrapper in ("caption", "result", "output", "response", "data", "answer"):
        if isinstance(value.get(wrapper), dict):
            value = value[wrapper]
    events = _events(fields.first(value, fields.EVENTS), clip)
    words = fields.sentence(fields.first(value, fields.TEXT))
    if not words:  # an answer of events only: they are what is said of the clip
        words = "; ".join(dict.fromkeys(event.text.rstrip(".。") for event in events))
        words = words[: fields.LONGEST_SENTENCE].strip()
    if not words:
        return None
    return Caption(
        text=words,
        events=events,
        objects=fields.texts(fields.first(value, fields.OBJECTS)),
        actions=fields.texts(fields.first(value, fields.ACTIONS)),
        on_screen_text=fields.texts(fields.first(value, fields.WRITTEN)),
        setting=fields.joined_text(fields.first(value, fields.SETTING)),
        mood=fields.joined_text(fields.first(value, fields.MOOD)),
        language=language,
    )


def _events(value: Any, clip: Clip) -> tuple[CaptionEvent, ...]:
    if clip.start_s is None or clip.end_s is None:
        return ()
    timed = []
    for item in fields.items(value):
        words = fields.words_of(item)
        start_s, end_s = fields.times_of(item)
        if words and start_s is not None:
            timed.append((start_s, end_s, words))
    timed.sort(key=lambda event: event[0] if event[1] is None else min(event[0], event[1]))
    events: list[CaptionEvent] = []
    for place, (start_s, end_s, words) in enumerate(timed):
        if end_s is None:  # only its beginning was given: it lasts until the next one begins
            end_s = next((later[0] for later in timed[place + 1 :] if later[0] > start_s), clip.end_s)
        inside = clamp(start_s, end_s, clip)
        if inside is None:
            continue
        last = next((e for e in reversed(events) if e.text.casefold() == words.casefold()), None)
        if last is not None and inside[0] <= last.end_s + POINT_S:  # said again and again: one stretch
            events[events.index(last)] = CaptionEvent(last.start_s, max(last.end_s, inside[1]), last.text)
        else:
            events.append(CaptionEvent(*inside, words))
    return tuple(events[: fields.MOST_ITEMS])


def clamp(start_s: float, end_s: float, clip: Clip) -> tuple[float, float] | None:
    """The part of a stretch that lies in the clip's segment; reversed times are turned, a point lasts POINT_S.

    None when it lies outside or the clip has no time.
    """
    if clip.start_s is None or clip.end_s is None:
        return None
    first, last = sorted((start_s, end_s))
    if last < clip.start_s or first > clip.end_s:
        return None
    first, last = max(first, clip.start_s), min(last, clip.end_s)
    if last <= first:
        last = min(first + POINT_S, clip.end_s)
        first = max(clip.start_s, min(first, last - POINT_S)) if last <= first else first
    return (first, last) if last > first else None


def _grounding(item: Any, clip: Clip) -> Grounding | None:
    start_s, end_s = fields.times_of(item)
    if start_s is None:
        return None
    inside = clamp(start_s, start_s if end_s is None else end_s, clip)
    if inside is None:
        return None
    peak_s = seconds(fields.first(item, fields.PEAK)) if isinstance(item, dict) else None
    return Grounding(*inside, peak_s if peak_s is not None and inside[0] <= peak_s < inside[1] else inside[0])


def _joined(found: Sequence[Grounding]) -> tuple[Grounding, ...]:
    out: list[Grounding] = []
    for one in sorted(found, key=lambda grounding: grounding.start_s):
        if out and one.start_s < out[-1].end_s:
            out[-1] = Grounding(out[-1].start_s, max(out[-1].end_s, one.end_s), out[-1].peak_s)
        else:
            out.append(one)
    return tuple(out[: fields.MOST_ITEMS])


def _corners(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, dict):
        found = fields.first(value, fields.BOX)
        if found is not None:
            yield from _corners(found)
        elif all(name in value for name in ("x1", "y1", "x2", "y2")):
            yield [value[name] for name in ("x1", "y1", "x2", "y2")]
        else:
            for inner in value.values():
                if isinstance(inner, list | dict):
                    yield from _corners(inner)
    elif isinstance(value, list):
        if len(value) == 4 and not any(isinstance(entry, list | dict) for entry in value):
            yield value
        else:
            for inner in value[: 4 * fields.MOST_ITEMS]:
                yield from _corners(inner)


def _box(corners: list[Any], width: int, height: int) -> Box | None:
    numbers = [seconds(corner) for corner in corners]  # a number >= 0, in whatever way it is written
    known = [number for number in numbers if number is not None]
    if len(known) != 4:
        return None
    left, top, right, bottom = (min(number, _SPAN_OF_BOXES) / _SPAN_OF_BOXES for number in known)
    left, right, top, bottom = *sorted((left, right)), *sorted((top, bottom))
    if right <= left or bottom <= top:
        return None
    x, y = math.floor(left * width), math.floor(top * height)
    return Box(x, y, math.ceil(right * width) - x, math.ceil(bottom * height) - y)


def _citation(item: Any, clips: Sequence[Clip]) -> Citation | None:
    number = fields.first(item, ("clip", "number", "id", "source", "片段")) if isinstance(item, dict) else item
    if number is None and len(clips) == 1:
        number = 1
    if isinstance(number, str):
        digits = re.search(r"\d{1,4}", unicodedata.normalize("NFKC", number))
        number = int(digits[0]) if digits else None
    if not isinstance(number, int | float) or isinstance(number, bool) or not 1 <= number <= len(clips):
        return None
    clip = clips[int(number) - 1]
    if clip.start_s is None:
        return Citation(clip.media_id, None, None)
    start_s, end_s = fields.times_of(item)
    if start_s is None:
        return None
    inside = clamp(start_s, start_s if end_s is None else end_s, clip)
    return Citation(clip.media_id, *inside) if inside else None

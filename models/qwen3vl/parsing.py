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
from models.qwen3vl import loose_json
from models.qwen3vl.times import seconds, stretch

LONGEST_SENTENCE = 600  # characters
LONGEST_ANSWER = 8_000
MOST_ITEMS = 48
POINT_S = 1.0  # how long something lasts that was given one second only
_SPAN_OF_BOXES = 1000.0  # Qwen3-VL's corners run from 0 to 1000 of width and height

_TEXT: tuple[str, ...] = (
    "text",
    "caption",
    "description",
    "summary",
    "sentence",
    "event",
    "desc",
    "content",
    "answer",
    "action",
)
_TEXT += ("描述", "内容", "事件", "文本", "总结", "摘要", "概述", "说明")
_EVENTS: tuple[str, ...] = (
    "events",
    "event",
    "segments",
    "timeline",
    "moments",
    "clips",
    "scenes",
    "captions",
    "results",
    "stretches",
)
_EVENTS += ("intervals", "事件", "时间线", "片段")
_START: tuple[str, ...] = (
    "start",
    "start_s",
    "start_time",
    "starttime",
    "start_seconds",
    "begin",
    "from",
    "t0",
    "开始",
    "开始时间",
    "起始",
)
_START += ("起始时间",)
_END = ("end", "end_s", "end_time", "endtime", "end_seconds", "stop", "to", "until", "t1", "结束", "结束时间", "终止")
_BOTH = (
    "time",
    "times",
    "timestamp",
    "timestamps",
    "time_range",
    "range",
    "interval",
    "span",
    "period",
    "时间",
    "时间段",
)
_PEAK = ("peak", "peak_s", "peak_time", "best", "clearest", "峰值")
_BOX = ("bbox_2d", "bbox", "box", "box_2d", "bounding_box", "coordinates", "坐标")
_OBJECTS = ("objects", "object", "things", "物体", "物品")
_ACTIONS = ("actions", "action", "activities", "动作", "行为")
_WRITTEN = ("on_screen_text", "onscreen_text", "ocr", "visible_text", "screen_text", "文字", "屏幕文字")
_SETTING = ("setting", "scene", "location", "place", "environment", "场景", "环境", "地点")
_MOOD = ("mood", "emotion", "feeling", "tone", "atmosphere", "情绪", "氛围", "心情")
_NOTHING = re.compile(
    r"\W*(none|n/?a|not visible|not applicable|unknown|nothing|empty|null|无|没有|未知|不适用)\W*", re.I
)

_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.I)
_THOUGHT_END = re.compile(r".*</think(?:ing)?>", re.DOTALL | re.I)
_REPEATED = re.compile(r"(.{1,80}?)\1{3,}", re.DOTALL)
_T = r"<?(?:\d+(?:[.:]\d+){0,3})\s*(?:seconds?|secs?|s|秒)?>?"
_TIMED_LINE = re.compile(
    rf"^\W*?(?:from |between |从|第)?({_T})\s*(?:-+>?|–|—|~|to|and|至|到)\s*第?({_T})[\s\])）】*,:：，。|-]*(.*)$", re.I
)


def caption(text: str, clip: Clip, language: str = "en") -> Caption | None:
    """One caption, its events inside the clip's segment; None when the answer holds no sentence that can be used."""
    answer = _body(text)
    found = next(filter(None, (_caption_of(value, clip, language) for value in loose_json.values(answer))), None)
    return found or _caption_of(_timed_lines(answer), clip, language)


def stretches(text: str, clip: Clip) -> tuple[Grounding, ...] | None:
    """When something holds, in time order, overlapping ones joined; () for "it does not", None for unreadable."""
    answer = _body(text)
    seen_empty = False
    for value in loose_json.values(answer):
        found = [grounding for item in _items(value) if (grounding := _grounding(item, clip)) is not None]
        if found:
            return _joined(found)
        seen_empty = seen_empty or not _flat(value)
    found = [g for item in _timed_lines(answer) if (g := _grounding(item, clip)) is not None]
    if found:
        return _joined(found)
    return () if seen_empty or _NOTHING.fullmatch(answer) else None


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
            return tuple(dict.fromkeys(found))[:MOST_ITEMS]
        seen_empty = seen_empty or not _flat(value)
    return () if seen_empty or _NOTHING.fullmatch(answer) else None


def answer(text: str, clips: Sequence[Clip]) -> Answer | None:
    """An answer with the stretches it rests on; None when unreadable.

    A citation of a clip that was not shown, or of seconds outside it, is dropped; an answer that is left without any
    rests on nothing that was shown and counts as no answer.
    """
    for value in loose_json.values(_body(text)):
        if not isinstance(value, dict):
            continue
        words = sentence(_first(value, ("answer", *_TEXT)), LONGEST_ANSWER)
        if not words:
            continue
        said = _first(value, ("answered", "answerable", "found", "已回答"))
        found = _first(value, ("citations", "citation", "sources", "evidence", "references", "引用"))
        cited = tuple(dict.fromkeys(filter(None, (_citation(item, clips) for item in _items(found)))))[:MOST_ITEMS]
        answered = bool(cited) and said is not False and str(said).strip().lower() not in ("false", "no", "否")
        return Answer(words, answered, cited if answered else ())
    return None


def sentence(value: Any, longest: int = LONGEST_SENTENCE) -> str:
    """Text of one line, repetitions cut, control characters gone; "" for what is no text or says "none"."""
    if not isinstance(value, str):
        return ""
    value = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in value[: 4 * longest])
    value = without_loops(" ".join(value.split()))
    return "" if _NOTHING.fullmatch(value) else value[:longest].strip()


def without_loops(text: str) -> str:
    """ "a dog a dog a dog a dog" -> "a dog": a part that stands four times or more in a row is kept once."""

    def once(match: re.Match[str]) -> str:
        return match[1] if re.search(r"\w", match[1]) and len(match[0]) >= 8 else match[0]

    return _REPEATED.sub(once, f"{text} ").strip()


def _body(text: str) -> str:
    """The answer without the thinking before it."""
    text = text[: loose_json.LONGEST]
    text = _THOUGHT.sub("", text)
    return _THOUGHT_END.sub("", text).strip()


def _caption_of(value: Any, clip: Clip, language: str) -> Caption | None:
    if isinstance(value, list):
        inner = next((v for v in value if isinstance(v, dict) and _first(v, _EVENTS) is not None), None)
        value = inner if inner is not None else {"events": value}
    if not isinstance(value, dict):
        return None
    for wrapper in ("caption", "result", "output", "response", "data", "answer"):
        if isinstance(value.get(wrapper), dict):
            value = value[wrapper]
    events = _events(_first(value, _EVENTS), clip)
    words = sentence(_first(value, _TEXT))
    if not words:  # an answer of events only: they are what is said of the clip
        words = "; ".join(dict.fromkeys(event.text.rstrip(".。") for event in events))[:LONGEST_SENTENCE].strip()
    if not words:
        return None
    return Caption(
        text=words,
        events=events,
        objects=_list(_first(value, _OBJECTS)),
        actions=_list(_first(value, _ACTIONS)),
        on_screen_text=_list(_first(value, _WRITTEN)),
        setting=_joined_text(_first(value, _SETTING)),
        mood=_joined_text(_first(value, _MOOD)),
        language=language,
    )


def _events(value: Any, clip: Clip) -> tuple[CaptionEvent, ...]:
    if clip.start_s is None or clip.end_s is None:
        return ()
    timed = []
    for item in _items(value):
        words = _words(item)
        start_s, end_s = _times(item)
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
    return tuple(events[:MOST_ITEMS])


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


def _times(item: Any) -> tuple[float | None, float | None]:
    if isinstance(item, list):
        if len(item) >= 2 and (start_s := seconds(item[0])) is not None:
            return start_s, seconds(item[1])
        both = stretch(item[0]) if item else None
        return both or (seconds(item[0]) if item else None, None)
    if not isinstance(item, dict):
        return None, None
    start_s, end_s = seconds(_first(item, _START)), seconds(_first(item, _END))
    if start_s is None and end_s is None:
        value = _first(item, _BOTH)
        if isinstance(value, dict):
            return _times(value)
        both = stretch(value)
        return both or (seconds(value), None)
    return (start_s, end_s) if start_s is not None else (end_s, None)


def _words(item: Any) -> str:
    if isinstance(item, dict):
        return sentence(_first(item, _TEXT))
    if isinstance(item, list) and len(item) >= 2:
        return sentence(item[-1])
    return ""


def _items(value: Any) -> Iterator[Any]:
    """The entries of a list, of a dict that wraps one, of a dict of time -> text, or the one entry itself."""
    if isinstance(value, dict):
        inner = _first(value, _EVENTS)
        if isinstance(inner, list | dict):
            yield from _items(inner)
        elif any(name in value for name in (*_START, *_END, *_BOTH, "clip")):
            yield value
        else:
            for name, words in value.items():
                both = stretch(name) or (seconds(name), None)
                if both[0] is not None:
                    yield [*both, words]
                elif isinstance(words, dict):
                    yield words
    elif isinstance(value, list):
        if len(value) in (2, 3) and not any(isinstance(entry, dict | list) for entry in value) and stretch(value[:2]):
            yield value
        else:
            yield from value[: 4 * MOST_ITEMS]


def _grounding(item: Any, clip: Clip) -> Grounding | None:
    start_s, end_s = _times(item)
    if start_s is None:
        return None
    inside = clamp(start_s, start_s if end_s is None else end_s, clip)
    if inside is None:
        return None
    peak_s = seconds(_first(item, _PEAK)) if isinstance(item, dict) else None
    return Grounding(*inside, peak_s if peak_s is not None and inside[0] <= peak_s < inside[1] else inside[0])


def _joined(found: Sequence[Grounding]) -> tuple[Grounding, ...]:
    out: list[Grounding] = []
    for one in sorted(found, key=lambda grounding: grounding.start_s):
        if out and one.start_s < out[-1].end_s:
            out[-1] = Grounding(out[-1].start_s, max(out[-1].end_s, one.end_s), out[-1].peak_s)
        else:
            out.append(one)
    return tuple(out[:MOST_ITEMS])


def _corners(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, dict):
        found = _first(value, _BOX)
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
            for inner in value[: 4 * MOST_ITEMS]:
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
    number = _first(item, ("clip", "number", "id", "source", "片段")) if isinstance(item, dict) else item
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
    start_s, end_s = _times(item)
    if start_s is None:
        return None
    inside = clamp(start_s, start_s if end_s is None else end_s, clip)
    return Citation(clip.media_id, *inside) if inside else None


def _timed_lines(text: str) -> list[Any]:
    """ "00:01 - 00:04: a man walks" and rows of tables, as [start, end, words]."""
    rows: list[Any] = []
    for line in text.splitlines()[: 4 * MOST_ITEMS]:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) >= 3 and seconds(cells[0]) is not None and seconds(cells[1]) is not None:
            rows.append([cells[0], cells[1], cells[2]])
        elif len(cells) >= 2 and stretch(cells[0]):
            rows.append([*(stretch(cells[0]) or ()), cells[1]])
        elif len(line) <= 4 * LONGEST_SENTENCE and (match := _TIMED_LINE.match(unicodedata.normalize("NFKC", line))):
            rows.append([match[1], match[2], match[3].strip(" *|")])
    return rows


def _list(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = re.split(r"[,，、;；\n]", value)
    if isinstance(value, dict):
        value = list(value)
    if not isinstance(value, list):
        return ()
    words = (sentence(_first(v, ("name", "label", *_TEXT)) if isinstance(v, dict) else v, 200) for v in value[:400])
    unique = {word.casefold(): word for word in reversed([word for word in words if word])}
    return tuple(reversed(unique.values()))[:MOST_ITEMS]


def _joined_text(value: Any) -> str:
    return ", ".join(_list(value)) if isinstance(value, list) else sentence(value, 200)


def _flat(value: Any) -> list[Any]:
    """All that stands in a value but containers and nothings: empty for [], {}, {"events": []}."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _flat(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _flat(inner)]
    return [] if value is None or value is False else [value]


def _first(value: Any, names: Sequence[str]) -> Any:
    if not isinstance(value, dict):
        return None
    return next((value[name] for name in names if value.get(name) is not None), None)

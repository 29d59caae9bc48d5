"""What stands in the parts of a model's answer, whatever they are called: words, lists, times, entries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from models.qwen3vl.times import seconds, stretch

LONGEST_SENTENCE = 600  # characters
MOST_ITEMS = 48


def _names(words: str) -> tuple[str, ...]:
    return tuple(words.split())


# Names that models give to the fields that the prompts ask for; the first one that is there counts.
TEXT = _names(
    "text caption description summary sentence event desc content answer action 描述 内容 事件 文本 总结 摘要 概述 说明"
)
EVENTS = _names(
    "events event segments timeline moments clips scenes captions results stretches intervals 事件 时间线 片段"
)

START = _names("start start_s start_time starttime start_seconds begin from t0 开始 开始时间 起始 起始时间")
END = _names("end end_s end_time endtime end_seconds stop to until t1 结束 结束时间 终止")
BOTH = _names("time times timestamp timestamps time_range range interval span period 时间 时间段")
PEAK = _names("peak peak_s peak_time best clearest 峰值")
BOX = _names("bbox_2d bbox box box_2d bounding_box coordinates 坐标")
OBJECTS = _names("objects object things 物体 物品")
ACTIONS = _names("actions action activities 动作 行为")
WRITTEN = _names("on_screen_text onscreen_text ocr visible_text screen_text 文字 屏幕文字")
SETTING = _names("setting scene location place environment 场景 环境 地点")
MOOD = _names("mood emotion feeling tone atmosphere 情绪 氛围 心情")

NOTHING = re.compile(
    r"\W*(none|n/?a|not visible|not applicable|unknown|nothing|empty|null|无|没有|未知|不适用)\W*", re.I
)

_REPEATED = re.compile(r"(.{1,80}?)\1{3,}", re.DOTALL)
_T = r"<?(?:\d+(?:[.:]\d+){0,3})\s*(?:seconds?|secs?|s|秒)?>?"
_TIMED_LINE = re.compile(
    rf"^\W*?(?:from |between |从|第)?({_T})\s*(?:-+>?|–|—|~|to|and|至|到)\s*第?({_T})[\s\])）】*,:：，。|-]*(.*)$", re.I
)


def sentence(value: Any, longest: int = LONGEST_SENTENCE) -> str:
    """Text of one line, repetitions cut, control characters gone; "" for what is no text or says "none"."""
    if not isinstance(value, str):
        return ""
    value = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in value[: 4 * longest])
    value = without_loops(" ".join(value.split()))
    return "" if NOTHING.fullmatch(value) else value[:longest].strip()


def without_loops(text: str) -> str:
    """ "a dog a dog a dog a dog" -> "a dog": a part that stands four times or more in a row is kept once."""

    def once(match: re.Match[str]) -> str:
        return match[1] if re.search(r"\w", match[1]) and len(match[0]) >= 8 else match[0]

    return _REPEATED.sub(once, f"{text} ").strip()


def first(value: Any, names: Sequence[str]) -> Any:
    """What an object holds under the first of the names that it knows; None when it is none or knows none."""
    if not isinstance(value, dict):
        return None
    return next((value[name] for name in names if value.get(name) is not None), None)


def texts(value: Any) -> tuple[str, ...]:
    """A list of words, of objects with a name, or words with commas between -> sentences, each once."""
    if isinstance(value, str):
        value = re.split(r"[,，、;；\n]", value)
    if isinstance(value, dict):
        value = list(value)
    if not isinstance(value, list):
        return ()
    words = (sentence(first(v, ("name", "label", *TEXT)) if isinstance(v, dict) else v, 200) for v in value[:400])
    unique = {word.casefold(): word for word in reversed([word for word in words if word])}
    return tuple(reversed(unique.values()))[:MOST_ITEMS]


def joined_text(value: Any) -> str:
    """One line, whether a text or a list of texts was written."""
    return ", ".join(texts(value)) if isinstance(value, list) else sentence(value, 200)


def leaves(value: Any) -> list[Any]:
    """All that stands in a value but containers and nothings: empty for [], {}, {"events": []}."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [] if value is None or value is False else [value]


def words_of(item: Any) -> str:
    """The sentence of an entry; "" when it has none."""
    if isinstance(item, dict):
        return sentence(first(item, TEXT))
    if isinstance(item, list) and len(item) >= 2:
        return sentence(item[-1])
    return ""


def times_of(item: Any) -> tuple[float | None, float | None]:
    """Start and end of an entry as they stand, in seconds; None for what is not there."""
    if isinstance(item, list):
        if len(item) >= 2 and (start_s := seconds(item[0])) is not None:
            return start_s, seconds(item[1])
        both = stretch(item[0]) if item else None
        return both or (seconds(item[0]) if item else None, None)
    if not isinstance(item, dict):
        return None, None
    start_s, end_s = seconds(first(item, START)), seconds(first(item, END))
    if start_s is None and end_s is None:
        value = first(item, BOTH)
        if isinstance(value, dict):
            return times_of(value)
        both = stretch(value)
        return both or (seconds(value), None)
    return (start_s, end_s) if start_s is not None else (end_s, end_s)  # a point: nothing says when it began


def items(value: Any) -> Iterator[Any]:
    """The entries of a list, of a dict that wraps one, of a dict of time -> text, or the one entry itself."""
    if isinstance(value, dict):
        inner = first(value, EVENTS)
        if isinstance(inner, list | dict):
            yield from items(inner)
        elif any(name in value for name in (*START, *END, *BOTH, "clip")):
            yield value
        else:
            for name, words in value.items():
                both = stretch(name) or (seconds(name), None)
                if isinstance(words, dict) and (both[0] is None or times_of(words)[0] is not None):
                    yield words
                elif both[0] is not None:
                    yield [*both, words_of(words) or words]
    elif isinstance(value, list):
        if len(value) in (2, 3) and not any(isinstance(entry, dict | list) for entry in value) and stretch(value[:2]):
            yield value
        else:
            yield from value[: 4 * MOST_ITEMS]


def timed_lines(text: str) -> list[Any]:
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

"""What is read out of answers as models really write them, and what is not; runs without torch."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.base import Clip
from models.qwen3vl import loose_json, parsing
from models.qwen3vl.times import seconds, stretch

PIXELS = np.zeros((8, 8, 3), np.uint8)
CLIP = Clip((PIXELS, PIXELS), (10.0, 15.0), 10.0, 20.0, media_id="film")
STILL = Clip((PIXELS,), kind="image", media_id="still")
CORPUS = [json.loads(line) for line in (Path(__file__).parent / "malformed.jsonl").read_text("utf-8").splitlines()]


def read(row: dict[str, Any]) -> Any:
    text = row["text"]
    if row["as"] == "caption":
        caption = parsing.caption(text, CLIP)
        if caption is None:
            return None
        events = [[event.start_s, event.end_s, event.text] for event in caption.events]
        return {"text": caption.text, "events": events, "objects": list(caption.objects)}
    if row["as"] == "when":
        found = parsing.stretches(text, CLIP)
        return None if found is None else [[one.start_s, one.end_s, one.peak_s] for one in found]
    if row["as"] == "where":
        boxes = parsing.boxes(text, 200, 100)
        return None if boxes is None else [[box.x, box.y, box.width, box.height] for box in boxes]
    answer = parsing.answer(text, [CLIP, STILL])
    if answer is None:
        return None
    numbers = {"film": 1, "still": 2}
    cited = [[numbers[one.media_id], one.start_s, one.end_s] for one in answer.citations]
    return {"text": answer.text, "answered": answer.answered, "cited": cited}


@pytest.mark.parametrize("row", CORPUS, ids=lambda row: f"{row['as']}: {row['text'][:40]!r}")
def test_malformed(row):
    found, wanted = read(row), row["is"]
    if isinstance(found, dict) and isinstance(wanted, dict):
        found = {name: value for name, value in found.items() if name in wanted}
    assert found == wanted


def test_the_corpus_is_large():
    assert len(CORPUS) >= 100
    assert len({row["text"] for row in CORPUS if row["as"] == "caption"}) >= 60


def test_nothing_of_any_wreck_lies_outside_the_segment_or_raises():
    """Every answer of the corpus, cut and with characters changed: no exception, and no time that was not shown."""
    rng = random.Random(0)
    for row in CORPUS * 4:
        letters = list(row["text"][: rng.randrange(len(row["text"]) + 1)])
        for _ in range(min(4, len(letters))):
            letters[rng.randrange(len(letters))] = rng.choice('{}[]",:：“0123456789abc\n\\|-<>')
        text = "".join(letters)
        caption = parsing.caption(text, CLIP)
        for event in caption.events if caption else ():
            assert CLIP.start_s <= event.start_s < event.end_s <= CLIP.end_s
            assert event.text
        for found in parsing.stretches(text, CLIP) or ():
            assert CLIP.start_s <= found.start_s <= found.peak_s < found.end_s <= CLIP.end_s
        for box in parsing.boxes(text, 200, 100) or ():
            assert box.x >= 0 and box.y >= 0 and box.x + box.width <= 200 and box.y + box.height <= 100
            assert box.width > 0 and box.height > 0
        answer = parsing.answer(text, [CLIP, STILL])
        assert answer is None or answer.answered == bool(answer.citations)


@pytest.mark.parametrize("char", ["{", "[", '"', "0:0", "a ", "<think>", "|", "{'a':"])
def test_long_wrecks_are_cheap(char):
    import time

    started = time.process_time()
    parsing.caption(char * 40_000, CLIP)
    parsing.stretches(char * 40_000, CLIP)
    assert time.process_time() - started < 3


def test_a_still_has_no_events():
    caption = parsing.caption('{"text": "A sofa.", "events": [{"start": 0, "end": 1, "text": "x y"}]}', STILL)
    assert caption is not None and caption.events == ()


@pytest.mark.parametrize(
    ("said", "is_s"),
    [
        ("1:02:03.5", 3723.5), ("1m 5s", 65.0), ("1分20秒", 80.0), ("2 hours 1 minute", 7260.0), ("05:10", 310.0),
        ("5", 5.0), ("-5", None), ("1:75", None), ("1:75:00", None), ("abc", None), ("", None), (float("nan"), None),
        (float("inf"), None), (True, None), ("9" * 80, None),
    ],
)  # fmt: skip
def test_seconds(said, is_s):
    assert seconds(said) == is_s


def test_stretches_of_time():
    assert stretch("0:01 – 0:05") == (1.0, 5.0)
    assert stretch("第1秒到第3秒") == (1.0, 3.0)
    assert stretch("5") is None


def test_a_cut_string_is_dropped_and_never_completed():
    assert list(loose_json.values('{"a": "whole", "b": "cut')) == [{"a": "whole"}]
    assert list(loose_json.values("[1, 2, 1")) == [[1.0, 2.0]]


@pytest.mark.parametrize("text", ['["' + '"/*' * 21_000, "[" + '"x" /*' * 10_000])
def test_comments_that_never_end_cost_little(text):
    started = time.process_time()
    list(loose_json.values(text))
    assert time.process_time() - started < 1.5
    assert list(loose_json.values('[1, /* a "note" */ 2] // end')) == [[1.0, 2.0]]

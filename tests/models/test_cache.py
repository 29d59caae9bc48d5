"""The result cache: kept between runs and processes, bounded, and never a reason to fail."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from data.types import Box, TextSpan, TimedWord
from models import cache as cache_module
from models.base import Caption, CaptionEvent, Clip
from models.cache import CachedCaptioner, ResultCache, keep_texts, kept_texts, key_of


def test_what_was_put_is_there_in_another_run(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.sqlite3"
    with ResultCache(path) as cache:
        assert cache.get("a") is None
        cache.put("a", {"text": "你好", "n": [1, 2.5, None]})
        cache.put("a", {"text": "later"})
    with ResultCache(path) as cache:
        assert cache.get("a") == {"text": "later"} and cache.get("b") is None


def test_keys_tell_apart_all_that_matters() -> None:
    keys = {key_of("caption", "ab", "c"), key_of("caption", "a", "bc"), key_of("other", "ab", "c"),
            key_of("caption", "ab", None), key_of("caption", "ab", 1), key_of("caption", "ab", "1")}  # fmt: skip
    assert len(keys) == 6 and key_of("caption", "ab", "c") in keys


def test_it_is_bounded_and_drops_what_was_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_TOUCH_S", -1.0)
    clock = iter(range(10**9))
    monkeypatch.setattr(cache_module.time, "time", lambda: float(next(clock)))
    with ResultCache(tmp_path / "r.sqlite3", most_bytes=400_000) as cache:
        cache.put("kept", "x" * 1000)
        for number in range(1000):
            cache.put(str(number), "x" * 1000)
            assert cache.get("kept") is not None
        assert cache.get("0") is None and cache.get("999") is not None
    assert sum(file.stat().st_size for file in tmp_path.iterdir() if file.suffix == ".sqlite3") < 700_000


def test_processes_and_threads_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    code = "import sys; from pathlib import Path; from models.cache import ResultCache\n"
    code += "c = ResultCache(Path(sys.argv[1]))\nfor n in range(200): c.put(f'{sys.argv[2]}-{n}', n)"
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path), str(name)]) for name in range(3)]
    with ResultCache(path) as cache:
        threads = [
            threading.Thread(target=lambda t=t: [cache.put(f"t{t}-{n}", n) for n in range(100)]) for t in range(3)
        ]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        assert [process.wait() for process in processes] == [0, 0, 0]
        assert all(cache.get(f"{name}-{n}") == n for name in range(3) for n in range(200))
        assert all(cache.get(f"t{t}-{n}") == n for t in range(3) for n in range(100))


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    path.write_bytes(b"no database at all" * 1000)
    with ResultCache(path) as cache:
        cache.put("a", 1)
        assert cache.get("a") == 1
    content = bytearray(path.read_bytes())
    content[4096 + 8 :] = os.urandom(len(content) - 4096 - 8)
    path.write_bytes(content)
    with ResultCache(path) as cache:
        cache.get("a")
        cache.put("b", 2)
        cache.put("b", 2)
        assert cache.get("b") == 2


def test_no_place_to_keep_anything(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with ResultCache(tmp_path / "file" / "r.sqlite3") as cache:
        cache.put("a", 1)
        assert cache.get("a") is None


class Counting:
    """Tells how many clips it was asked for; says "bad" of the media "bad"."""

    def __init__(self, revision: str = "m@1") -> None:
        self.revision = revision
        self.prompt = "p@1"
        self.asked = 0

    def prompt_id(self, clip: Clip) -> str:
        return self.prompt

    def caption(self, clips: Sequence[Clip], language: str = "en") -> list[Caption]:
        self.asked += len(clips)
        events = (CaptionEvent(0.0, 0.5, "it moves"),)
        said = {clip.media_id: Caption(f"{clip.media_id} {language}", events, ("a",)) for clip in clips}
        return [{**said, "bad": Caption("", failed="unreadable")}[clip.media_id] for clip in clips]


def clip(media_id: str, *, start_s: float = 0.0, transcript: str = "") -> Clip:
    frame = np.zeros((4, 4, 3), np.uint8)
    return Clip((frame,), (start_s,), start_s, start_s + 1, "video", media_id, transcript)


def test_a_model_is_paid_once(tmp_path: Path) -> None:
    with ResultCache(tmp_path / "r.sqlite3") as cache:
        model = Counting()
        captioner = CachedCaptioner(model, cache)
        first = captioner.caption([clip("a"), clip("b"), clip("bad")])
        assert model.asked == 3 and [c.text for c in first] == ["a en", "b en", ""]
        again = CachedCaptioner(Counting(), cache).caption([clip("b"), clip("c"), clip("a")])
        assert again[2] == first[0] and again[0] == first[1] and again[1].text == "c en"
        assert captioner.caption([clip("bad")])[0].failed and model.asked == 4, "a failure is asked again"
        for other in (clip("a", start_s=1), clip("a", transcript="said")):
            captioner.caption([other])
        captioner.caption([clip("a")], "zh")
        assert model.asked == 7
        model.prompt = "p@2"
        captioner.caption([clip("a")])
        CachedCaptioner(other_model := Counting("m@2"), cache).caption([clip("a")])
        assert model.asked == 8 and other_model.asked == 1
        captioner.caption([clip(""), clip("")])
        assert model.asked == 10, "what has no name is not kept"


def test_a_strange_value_is_asked_again(tmp_path: Path) -> None:
    with ResultCache(tmp_path / "r.sqlite3") as cache:
        captioner = CachedCaptioner(Counting(), cache)
        for strange in (None, [], {}, {"text": "a"}, {"events": [1]}, "text"):
            cache.put(captioner._key(clip("a"), "en"), strange)
            assert captioner.caption([clip("a")])[0].text == "a en"


def test_texts_come_back_as_they_were(tmp_path: Path) -> None:
    words = (TimedWord("你好", 1.25, 1.5), TimedWord("there", 1.5, 2.0))
    spans = [
        TextSpan("speech", "你好 there", 1.25, 2.0, "zh", words=words, source="w@1"),
        TextSpan("screen", "EXIT", None, None, box=Box(1, 2, 3, 4)),
    ]
    with ResultCache(tmp_path / "r.sqlite3") as cache:
        assert kept_texts(cache, "a") is None
        keep_texts(cache, "a", spans)
        keep_texts(cache, "silent", [])
        assert kept_texts(cache, "a") == spans and kept_texts(cache, "silent") == []
        cache.put("strange", [{"text": 1}])
        assert kept_texts(cache, "strange") is None

"""What a decoder that fails in any way costs: its own file, and nothing else."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import indexer.apart
import indexer.captions
import indexer.enrich
import indexer.process
from data.errors import CorruptMedia, MissingMedia
from data.media import probe
from data.media.audio import sound
from data.media.subtitles import embedded
from data.settings import Settings
from data.store.lance import open_reader
from data.types import Box, MediaItem, TextSpan
from indexer import wire
from indexer.apart import Apart, Silent
from indexer.pipeline import index
from models.base import Caption, Clip, ModelSet, WrittenLine
from tests.conftest import write_video
from tests.enrich.made import tone, with_lines
from tests.indexer.contents import contents

DECODER = """
import ctypes, os, sys, time
sys.path.append(sys.argv[1])
import indexer.worker as worker

real = worker.open_media

def open_media(path, **options):
    if path.name == "blink.gif":
        {defect}
    return real(path, **options)

worker.open_media = open_media
worker.serve()
"""


@pytest.mark.parametrize(
    ("defect", "says"),
    [
        ("raise RuntimeError('a codec met something new')", "something new"),
        ("ctypes.string_at(0)", "crashed on it (signal 11)"),
        ("os._exit(3)", "the decoder ended on it"),
        ("time.sleep(60)", "given up after 2 s of silence"),
        ("bytearray(1 << 45)", "more memory than is allowed"),
        ("os.write(OUT, b'[1, 2]\\n')", "the decoder ended on it"),
    ],
)
def test_a_defect_costs_only_its_file(
    media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch, defect: str, says: str
) -> None:
    def run(**options: bool):
        return index([media], library=settings.library, models=colour_models, settings=settings, **options)

    with monkeypatch.context() as patch:
        # The first descriptor after the standard ones is the copy of stdout that messages go to.
        patch.setattr(indexer.process, "_START", DECODER.format(defect=defect.replace("OUT", "3")))
        patch.setattr(indexer.process, "SILENCE_S", 2.0)
        report = run()
    (failure,) = report.failed
    assert report.indexed == 3 and failure.path.endswith("blink.gif") and says in failure.reason
    again = run()
    assert (again.indexed, again.not_retried) == (0, 1), "unchanged, it is not tried again unasked"
    assert again.failed == report.failed
    assert run(retry_failed=True).indexed == 1


class Sign:
    revision = "sign@1"

    def read(self, picture: np.ndarray) -> list[WrittenLine]:
        return [WrittenLine("EXIT", Box(0, 0, 5, 5), 0.9)]


class Hearer:
    revision = "ear@1"

    def transcribe(self, samples: np.ndarray, *, start_s: float, language: str | None = None) -> list[TextSpan]:
        return [TextSpan("speech", "a tone", start_s, start_s + 1.0, "en", source=self.revision)]


class Teller:
    revision = "teller@1"

    def prompt_id(self, clip: Clip) -> str:
        return "toy"

    def caption(self, clips: Sequence[Clip], language: str = "en") -> list[Caption]:
        return [Caption("A picture.", language=language, model=self.revision) for _ in clips]


@pytest.mark.parametrize("do", ["pictures", "subtitles"])
def test_a_crash_in_what_texts_are_made_of_costs_only_that_text(
    media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch, do: str
) -> None:
    models = replace(colour_models, text_reader=Sign())
    crash = (
        DECODER.replace("worker.serve()", "")
        + f"""
real_answer = worker.answer

def answer(job, out):
    if job["do"] == {do!r} and bytes.fromhex(job["path"]).endswith(b"film.mp4"):
        ctypes.string_at(0)
    real_answer(job, out)

worker.answer = answer
worker.serve()
"""
    )
    monkeypatch.setattr(indexer.process, "_START", crash.format(defect="pass"))
    run = partial(index, [media], library=settings.library, models=models, settings=settings, read=True)
    report = run()
    (warning,) = report.warnings
    assert report.indexed == 4 and not report.failed
    assert warning.path.endswith("film.mp4") and "crashed on it (signal 11)" in warning.reason
    assert report.texts >= 2, "the pictures after it are read"
    again = run()
    assert not again.warnings and again.texts == 0, "the same bytes are not asked again"


KILLED = (
    DECODER.replace("worker.serve()", "")
    + """
real_answer = worker.answer

def answer(job, out):
    if job["do"] == "pictures":
        os.kill(os.getpid(), 9)
    real_answer(job, out)

worker.answer = answer
worker.serve()
"""
)


def test_a_decoder_lost_by_chance_leaves_its_text_to_the_next_run(
    media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = replace(colour_models, text_reader=Sign())
    run = partial(index, [media / "red.png"], library=settings.library, models=models, settings=settings, read=True)
    with monkeypatch.context() as patch:
        patch.setattr(indexer.process, "_START", KILLED.format(defect="pass"))
        report = run()
        (warning,) = report.warnings
        assert report.texts == 0 and "killed from outside (signal 9)" in warning.reason
        assert "the next run tries again" in warning.reason
    again = run()
    assert not again.warnings and again.texts == 1


@pytest.mark.parametrize("do", ["pictures", "subtitles"])
def test_a_text_that_was_waited_for_in_vain_is_not_waited_for_in_every_run(
    media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch, do: str
) -> None:
    models = replace(colour_models, text_reader=Sign())
    hangs = DECODER.replace("worker.serve()", "") + (
        "\nreal_answer = worker.answer\n"
        f"worker.answer = lambda job, out: time.sleep(60) if job['do'] == {do!r} else real_answer(job, out)\n"
        "worker.serve()\n"
    )
    film = media / "film.mp4"
    run = partial(index, [film], library=settings.library, models=models, settings=settings, read=True)
    with monkeypatch.context() as patch:
        patch.setattr(indexer.process, "_START", hangs.format(defect="pass"))
        patch.setattr(indexer.process, "SILENCE_S", 1.0)
        patch.setattr(indexer.apart, "LEAST_BUDGET_S", 1.0)
        (warning,) = run().warnings
        assert "given up after 1 s of silence" in warning.reason and "--retry-failed tries again" in warning.reason
        assert not run().warnings, "nor is it told again"
        (warning,) = run(retry_failed=True).warnings
        assert "given up" in warning.reason
    run(retry_failed=True)
    stages = contents(settings.library)["film.mp4"][2]
    assert stages["screen"] == "sign@1" and stages["speech"].startswith("none ")


@pytest.mark.parametrize("do", ["pictures", "subtitles", "sound"])
def test_a_text_that_was_there_outlives_a_newer_one_that_was_waited_for_in_vain(
    media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch, do: str
) -> None:
    file = media / "red.png" if do == "pictures" else tone(media / "tone.mp4")
    lines = file.with_suffix(".srt")
    channel = "screen" if do == "pictures" else "speech"
    hangs = DECODER.replace("worker.serve()", "") + (
        "\nreal_answer = worker.answer\n"
        f"worker.answer = lambda job, out: time.sleep(60) if job['do'] == {do!r} else real_answer(job, out)\n"
        "worker.serve()\n"
    )

    def run(revision: int, **options: bool):
        reader, hearer = Sign(), Hearer()
        reader.revision, hearer.revision = f"sign@{revision}", f"ear@{revision}"
        models = replace(colour_models, text_reader=reader, transcriber=hearer)
        asked = {"read": True} if do == "pictures" else {"listen": do == "sound"}
        return index([file], library=settings.library, models=models, settings=settings, **asked, **options)

    def held() -> tuple[list[str], str]:
        found = contents(settings.library)[file.name]
        return [span.text for span in found[4] if span.channel == channel], found[2][channel]

    if do == "subtitles":
        lines.write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n")
    run(1)
    texts, _ = held()
    assert texts
    if do == "subtitles":
        lines.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(indexer.process, "_START", hangs.format(defect="pass"))
        patch.setattr(indexer.process, "SILENCE_S", 1.0)
        patch.setattr(indexer.apart, "LEAST_BUDGET_S", 1.0)
        report = run(2)
        assert len(report.warnings) == 1 and report.texts == 0
        assert held()[0] == texts and held()[1].startswith("gave up: ")
        assert not run(2).warnings and held()[0] == texts
    assert not run(2, retry_failed=True).warnings
    assert not held()[1].startswith("gave up: ") and held()[0] == ([] if do == "subtitles" else texts)


def test_a_text_that_was_there_outlives_a_newer_reading_that_failed(
    media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(revision: int):
        reader = Sign()
        reader.revision = f"sign@{revision}"
        models = replace(colour_models, text_reader=reader)
        return index([media / "red.png"], library=settings.library, models=models, settings=settings, read=True)

    def broken(*_: object) -> None:
        raise CorruptMedia("nothing can be read of it")

    run(1)
    texts = contents(settings.library)["red.png"][4]
    monkeypatch.setattr(indexer.enrich, "written", broken)
    report = run(2)
    assert len(report.warnings) == 1 and report.texts == 0 and texts
    assert contents(settings.library)["red.png"][4] == texts and not run(2).warnings


def test_a_film_that_hangs_is_waited_for_once_by_its_captions(
    media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def hangs(item: MediaItem, *_: object) -> None:
        asked.append(item)
        raise Silent("given up after 60 s of silence")

    film = write_video(media / "long.mp4", ["red", "blue"] * 20, seconds_each=2)
    models = replace(colour_models, captioner=Teller())
    monkeypatch.setattr(indexer.captions, "clip_of", hangs)
    index([film], library=settings.library, models=models, settings=settings)
    with open_reader(settings.library) as store:
        (item,) = store.media()
        segments = len(store.segments(item.media_id))
    assert len(asked) < segments, (len(asked), segments)


@pytest.mark.parametrize("made", ["crops", "captions"])
def test_what_is_waited_for_again_in_every_run_says_so(
    media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    hangs = DECODER.replace("worker.serve()", "") + (
        "\nreal_answer = worker.answer\n"
        "worker.answer = lambda job, out: time.sleep(60) if job['do'] == 'pictures' else real_answer(job, out)\n"
        "worker.serve()\n"
    )
    models = colour_models if made == "crops" else replace(colour_models, captioner=Teller())
    run = partial(
        index, [media / "red.png"], library=settings.library, models=models, settings=settings, crop=made == "crops"
    )
    with monkeypatch.context() as patch:
        patch.setattr(indexer.process, "_START", hangs.format(defect="pass"))
        patch.setattr(indexer.process, "SILENCE_S", 1.0)
        for _ in range(2):
            (warning,) = run().warnings
            assert "given up" in warning.reason and "tries again" in warning.reason
            assert "the next run" in warning.reason and "--retry-failed" not in warning.reason
    assert not run().warnings


def test_sound_may_be_silent_as_long_as_subtitles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = tone(tmp_path / "film.mp4")
    slow = "import time, indexer.worker as worker; real = worker.answer"
    slow += "; worker.answer = lambda job, out: (time.sleep(3), real(job, out)); worker.serve()"
    monkeypatch.setattr(indexer.process, "_START", "import sys; sys.path.append(sys.argv[1]); " + slow)
    monkeypatch.setattr(indexer.process, "SILENCE_S", 1.0)
    with Apart(10**8) as files:
        assert list(files.sound(MediaItem("m", film, probe(film)), rate_hz=16_000))


def test_a_process_that_died_between_two_files_is_nobody_s_fault(media: Path) -> None:
    items = [MediaItem(name, media / name, probe(media / name)) for name in ("red.png", "blue.jpg")]
    decoder = indexer.process.Decoder()
    try:
        processes = []
        for item in items:
            request = {
                "do": "pictures", "path": wire.path_out(item.path), "max_pixels": 10**8, "short_side": 32,
                "rate_fps": None, "start_s": 0.0, "end_s": None,
            }  # fmt: skip
            assert [message["is"] for message, _ in decoder.ask(request)][-1] == "end"
            processes.append(decoder._process)
            assert decoder._process is not None
            decoder._process.kill()
            decoder._process.wait()
        assert processes[0] is not processes[1]
    finally:
        decoder.end()


def test_sound_and_subtitles_come_over_as_they_are_read_here(tmp_path: Path) -> None:
    film, lines = tone(tmp_path / "film.mp4"), tmp_path / "lines.srt"
    lines.write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n\n2\n00:00:03,000 --> 00:00:04,500\n你好\n")
    item = MediaItem("m", film, probe(film))
    said = replace(item, path=with_lines(film, lines, tmp_path / "said.mkv"))
    with Apart(10**8) as files:
        far = [(piece.start_s, piece.samples) for piece in files.sound(item, rate_hz=16_000)]
        assert files.subtitles(item) == []
        assert [(span.text, span.start_s, span.end_s) for span in files.subtitles(said)] == [
            ("hello", 1.0, 2.0), ("你好", 3.0, 4.5),
        ]  # fmt: skip
        assert files.subtitles(said) == embedded(said.path, 6.0)
        gone = replace(item, path=tmp_path / "gone.mp4")
        with pytest.raises(MissingMedia, match="No such file"):
            files.subtitles(gone)
        first = next(files.pictures(item, short_side=32, rate_fps=2.0))
        assert first.time_s == 0.0 and first.rgb is not None and min(first.rgb.shape[:2]) == 32
        assert len(list(files.pictures(item, short_side=32, rate_fps=2.0))) > 2, "left half way, it begins anew"
    here = [(piece.start_s, piece.samples) for piece in sound(film, rate_hz=16_000)]
    assert [start_s for start_s, _ in far] == [start_s for start_s, _ in here]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(far, here, strict=True))


def test_a_decoder_that_takes_too_long_is_not_tried_again_unasked(
    media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run():
        return index([media / "blink.gif"], library=settings.library, models=colour_models, settings=settings)

    with monkeypatch.context() as patch:
        patch.setattr(indexer.process, "_START", DECODER.format(defect="time.sleep(60)"))
        patch.setattr(indexer.process, "LEAST_BUDGET_S", 1.0)
        (failure,) = run().failed
    assert "given up after" in failure.reason and run().not_retried == 1


def test_time_in_which_the_run_stood_still_is_nobody_s_silence(
    media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_s = time.monotonic()

    def jumping_s() -> float:
        now_s = time.monotonic()
        return now_s + (1000.0 if now_s > started_s + 1.5 else 0.0)

    monkeypatch.setattr(indexer.process, "_START", DECODER.format(defect="time.sleep(4)"))
    monkeypatch.setattr(indexer.process, "time", SimpleNamespace(monotonic=jumping_s))
    report = index([media], library=settings.library, models=colour_models, settings=settings)
    assert report.indexed == 4 and not report.failed


def test_a_library_that_prints_does_no_harm(
    media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    chatty = "print('{\"is\": \"end\"}', flush=True); os.write(1, b'noise'); os.write(2, b'noise' * 100_000)"
    monkeypatch.setattr(indexer.process, "_START", DECODER.format(defect=chatty))
    report = index([media], library=settings.library, models=colour_models, settings=settings)
    assert report.indexed == 4 and not report.failed


def test_no_process_outlives_the_run(
    media: Path, settings: Settings, colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[indexer.process.subprocess.Popen[bytes]] = []
    popen = indexer.process.subprocess.Popen

    def noted(*arguments, **options):
        begun.append(popen(*arguments, **options))
        return begun[-1]

    monkeypatch.setattr(indexer.process.subprocess, "Popen", noted)
    settings = settings.model_copy(update={"workers": 3})
    report = index([media], library=settings.library, models=colour_models, settings=settings, should_stop=lambda: True)
    assert report.interrupted
    deadline = time.monotonic() + 5
    while any(process.poll() is None for process in begun) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all(process.poll() is not None for process in begun)


def test_several_processes_give_the_same_library(media: Path, settings: Settings, colour_models: ModelSet) -> None:
    def indexed(name: str, workers: int) -> dict[str, Any]:
        chosen = settings.model_copy(update={"workers": workers, "library": settings.library.with_name(name)})
        report = index([media], library=chosen.library, models=colour_models, settings=chosen)
        assert report.indexed == 4 and not report.failed
        return contents(chosen.library)

    assert indexed("one", 1) == indexed("four", 4)


def test_messages_arrive_as_they_were_sent() -> None:
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    stream = io.BytesIO()
    wire.send(stream, {"is": "row", "time_s": 0.1})
    wire.send(stream, {"is": "row"}, picture[:, ::-1])
    stream.seek(0)
    assert wire.receive(stream) == ({"is": "row", "time_s": 0.1}, None)
    message, got = wire.receive(stream)
    assert message["is"] == "row" and np.array_equal(got, picture[:, ::-1])
    assert wire.receive(stream) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"[1]\n",
        b"nonsense\n",
        b'{"is": "row", "bytes": 18, "shape": [2, 3, 3], "type": "uint8"}\nshort',
        b'{"is": "row", "bytes": 99, "shape": [2, 3, 3], "type": "uint8"}\n' + b"x" * 99,
        b'{"is": "row", "bytes": -3, "shape": [-1, 1, 3], "type": "uint8"}\n',
        b'{"is": "row", "bytes": 3000000000, "shape": [1000000000, 1, 3], "type": "uint8"}\n',
        b'{"is": "row", "bytes": 12, "shape": "abc", "type": "uint8"}\n',
        b'{"is": "sound", "bytes": 8, "shape": [1], "type": "float32"}\n' + b"x" * 8,
        b'{"is": "sound", "bytes": 8, "shape": [1], "type": "object"}\n' + b"x" * 8,
        b'{"is": ' + b"[" * 20_000 + b"\n",
        b'{"is": "tick", "time_s": 1' + b"0" * 400 + b"}\n",
        b'{"is": "tick", "time_s": NaN}\n',
        b'{"is": "tick", "time_s": 1e999}\n',
    ],
)
def test_what_is_no_message_is_told_apart(raw: bytes) -> None:
    with pytest.raises(wire.BadMessage):
        wire.receive(io.BytesIO(raw))

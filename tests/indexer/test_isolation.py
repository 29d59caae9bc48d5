"""What a decoder that fails in any way costs: its own file, and nothing else."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import indexer.apart
import indexer.captions
import indexer.enrich
import indexer.process
from data.errors import MissingMedia
from data.media import probe
from data.media.audio import sound
from data.media.subtitles import embedded
from data.settings import Settings
from data.types import MediaItem
from indexer import wire
from indexer.apart import Apart
from indexer.pipeline import index
from models.base import ModelSet
from tests.enrich.made import tone, with_lines
from tests.indexer.contents import contents
from tests.indexer.decoder import DECODER


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

"""Speech, writing, captions and parts whose decoder fails or falls silent: what is noted, kept, and tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import indexer.apart
import indexer.captions
import indexer.enrich
import indexer.process
from data.errors import CorruptMedia
from data.settings import Settings
from data.store.lance import open_reader
from data.types import Box, MediaItem, TextSpan
from indexer.apart import Silent
from indexer.pipeline import index
from models.base import Caption, Clip, ModelSet, WrittenLine
from tests.conftest import write_video
from tests.enrich.made import tone
from tests.indexer.contents import contents
from tests.indexer.decoder import DECODER


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

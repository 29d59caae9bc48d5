"""Real models over real media: what is said in a film, what is written on signs, and both through the indexer."""

from pathlib import Path

import pytest

from data.media.audio import sound
from data.settings import load
from data.store.base import Filter
from data.store.lance import open_reader
from indexer.pipeline import index
from models.registry import load as load_models
from tests.enrich.made import signs, tone

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
SINTEL = SAMPLES / "films" / "sintel.mp4"
whisper = pytest.importorskip("faster_whisper", reason="needs secondsight[speech]")


@pytest.fixture(scope="module")
def models():
    return load_models("lite", load())


def test_dialogue_is_heard_at_its_second_and_music_is_not(models):
    heard = [
        span
        for piece in sound(SINTEL, rate_hz=16_000)
        for span in models.transcriber.transcribe(piece.samples, start_s=piece.start_s)
    ]
    text = " ".join(span.text for span in heard).lower()
    assert "gatekeepers" in text and "searching for someone" in text
    (first, second) = heard
    assert first.language == "en" and first.start_s == pytest.approx(12.0, abs=0.5)
    (someone,) = [word for word in second.words if word.text.lower().startswith("someone")]
    assert 18.5 < someone.start_s < someone.end_s < 20.5
    music = [
        span
        for piece in sound(SAMPLES / "films" / "bunny_1.mp4", rate_hz=16_000)
        for span in models.transcriber.transcribe(piece.samples, start_s=piece.start_s)
    ]
    assert music == []


def test_signs_are_read_with_box_and_time(models, tmp_path):
    pytest.importorskip("rapidocr", reason="needs secondsight[ocr]")
    from data.media import probe
    from data.types import MediaItem
    from indexer.apart import Apart
    from indexer.read_screen import written

    film = signs(tmp_path / "s.mp4", [("EXIT 24 NORTH", 1, 4, (60, 60)), ("Platform nine", 3, 8, (60, 220))])
    with Apart(10**8) as files:
        spans, count = written(MediaItem("m", film, probe(film)), models.text_reader, files, lambda: False)
    assert [span.text.replace(" ", "").lower() for span in spans] == ["exit24north", "platformnine"]
    assert [(s.start_s, s.end_s) for s in spans] == [(1.0, 4.0), (3.0, 8.0)]
    assert abs(spans[0].box.x - 60) < 12 and 55 < spans[0].box.y < 80 and spans[1].box.y > 200
    assert count <= 3, "read only where the writing changed"


def test_an_index_has_the_texts_and_a_later_run_adds_what_is_missing(models, tmp_path):
    media, library = tmp_path / "media", tmp_path / "library"
    media.mkdir()
    settings = load(library=library)
    tone(media / "film.mp4")
    run = lambda **how: index([media], library=library, models=models, settings=settings, **how)  # noqa: E731
    assert run().texts == 0
    assert run().texts == 0
    (media / "film.srt").write_text("1\n00:00:02,000 --> 00:00:03,000\nthe price of the sofa\n")
    report = run()
    assert (report.unchanged, report.texts) == (1, 1)
    (hit,) = open_reader(library).search_texts("sofas", 5, Filter())
    assert (hit.span.channel, hit.span.start_s, hit.span.source) == ("speech", 2.0, "sidecar")
    assert run(listen=True).texts == 1, "the subtitles stand"
    assert run().texts == 0
    (media / "film.srt").unlink()
    assert run().texts == 0 and open_reader(library).search_texts("sofas", 5, Filter()) == []


def test_stopped_half_way_it_is_taken_up(models, tmp_path):
    media, library = tmp_path / "media", tmp_path / "library"
    media.mkdir()
    for name in "ab":
        tone(media / f"{name}.mp4", at_s=2.0 + (name == "b"))
        (media / f"{name}.srt").write_text("1\n00:00:02,000 --> 00:00:03,000\nhello\n")
    settings = load(library=library)
    seen = []

    def stop():
        return "listen" in seen

    def note(progress):
        seen.append(progress.stage)

    first = index([media], library=library, models=models, settings=settings, on_progress=note, should_stop=stop)
    second = index([media], library=library, models=models, settings=settings)
    assert (first.interrupted, first.texts, second.texts, second.interrupted) == (True, 1, 1, False)
    assert "listen" in seen

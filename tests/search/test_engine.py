"""The whole search over small made media: colours stand for what is seen, and texts are put in through the store.

The re-ranker and the grounder are doubles: they show that what they say is followed, never how good it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.errors import UsageError
from data.settings import Settings
from data.types import ImageQuery, MediaItem, Place, TextSpan, TimedWord
from indexer.pipeline import index
from models.base import Clip, Grounding, ModelSet, RerankScore
from search.engine import SearchEngine
from tests.conftest import COLOURS, ColourModel, write_image, write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    media = tmp_path_factory.mktemp("media")
    write_video(media / "film.mp4", ["red", "green", "blue", "yellow"], seconds_each=4)
    write_video(media / "other.mp4", ["green", "red"], seconds_each=4)
    write_image(media / "blue.png", "blue")
    write_image(media / "green.png", "green")
    write_image(media / "yellow.png", "yellow")
    return media


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    from data.store.lance import create_or_open

    models = ModelSet("test", ColourModel())
    settings = Settings(library=folder.parent / "library", batch_size=4, cache=folder.parent / "cache")
    index([folder], library=settings.library, models=models, settings=settings)
    identities = {channel: one.as_dict() for channel, one in models.identities().items()}
    writer = create_or_open(settings.library, identities, profile="test")
    try:
        ids = {item.path.name: item.media_id for item in writer.media()}
        spoken = ["now", "we", "talk", "about", "the", "budget", "of", "spring"]
        timed = tuple(TimedWord(word, 9.0 + 0.5 * i, 9.4 + 0.5 * i) for i, word in enumerate(spoken))
        speech = TextSpan("speech", " ".join(spoken), 9.0, 13.0, words=timed, source="sidecar")
        writer.put_texts(ids["film.mp4"], "speech", [speech], stage="made")
        writer.put_texts(ids["green.png"], "screen", [TextSpan("screen", "EXIT budget", None, None)], stage="made")
        writer.put_texts(ids["other.mp4"], "caption", [TextSpan("caption", "a calm meadow", 0.0, 4.0)], stage="made")
        shop = {"blue.png": (10.0, "a"), "green.png": (20.0, "a"), "yellow.png": (30.0, "b")}
        writer.put_fields({ids[name]: {"price": price, "sku": sku} for name, (price, sku) in shop.items()})
    finally:
        writer.close()
    return settings


@pytest.fixture
def engine(settings: Settings) -> Iterator[SearchEngine]:
    with SearchEngine(settings.library, ModelSet("test", ColourModel()), settings) as opened:
        yield opened


def names(response) -> list[str]:
    return [moment.media.path.name for moment in response.moments]


def test_a_word_is_found_where_it_is_said_and_opens_there(engine: SearchEngine) -> None:
    found = engine.search("said:budget")
    assert names(found) == ["film.mp4"]
    best = found.moments[0]
    assert best.peak_s == pytest.approx(11.5) and best.start_s <= 9.0 and best.end_s >= 13.0
    (heard,) = [line for line in best.evidence if line.channel == "speech"]
    assert heard.words == ("budget",) and heard.time_s == pytest.approx(11.5) and heard.rank == 1
    assert not found.no_match and best.score > 0.8


def test_what_is_demanded_is_there_and_what_is_refused_is_not(engine: SearchEngine) -> None:
    assert names(engine.search('text:"exit budget"')) == ["green.png"]
    assert set(names(engine.search('"budget"'))) == {"film.mp4", "green.png"}
    assert names(engine.search("caption:meadow")) == ["other.mp4"]
    assert engine.search("said:whale").moments == () and engine.search("said:whale").no_match
    assert "green.png" not in names(
        engine.search(
            "green -text:exit",
        )
    )
    assert "green.png" in names(engine.search("green"))


def test_a_plain_sentence_is_heard_too(engine: SearchEngine) -> None:
    """No picture shows it: the words alone bring the moment up, with its word's second."""
    best = engine.search("budget of spring").moments[0]
    assert best.media.path.name == "film.mp4" and best.peak_s == pytest.approx(11.5)
    assert {"words", "speech"} <= {line.channel for line in best.evidence}


def test_one_event_after_another(engine: SearchEngine) -> None:
    first = engine.search("red then blue").moments[0]
    assert first.media.path.name == "film.mp4" and first.peak_s < 4 and first.end_s > 8
    seconds = [line.time_s for line in first.evidence]
    assert seconds[0] < 4 and 8 <= seconds[1] < 12, "evidence of both"
    assert "other.mp4" not in names(engine.search("red then green within 6s"))[:1]
    assert names(engine.search("green then red within 6s"))[0] == "other.mp4"
    assert not engine.search("yellow then red kind:image").moments


def test_seen_while_said(engine: SearchEngine) -> None:
    both = engine.search("blue while said:budget").moments[0]
    assert both.media.path.name == "film.mp4" and 8 <= both.peak_s < 12
    assert {"words", "speech"} <= {line.channel for line in both.evidence}


def test_conditions_and_groups(engine: SearchEngine) -> None:
    assert set(
        names(
            engine.search(
                "price<25",
            )
        )
    ) == {"blue.png", "green.png"}
    assert set(names(engine.search("yellow -sku:b price>1"))) == {"blue.png", "green.png"}
    grouped = engine.search(engine.query("green price>0", group_by="sku"))
    assert names(grouped) == ["green.png", "yellow.png"], "the best of each"


def test_copies_are_one_result(engine: SearchEngine) -> None:
    found = engine.search("blue")
    assert len(found.moments) == len({(m.media.media_id, m.peak_s) for m in found.moments})
    best = found.moments[0]
    both = {best.media.path.name, *(item.path.name for item in best.same)}
    assert {"blue.png", "film.mp4"} <= both


def test_a_verdict_counts_at_once(engine: SearchEngine) -> None:
    ids = {item.path.name: item.media_id for item in engine.store.media()}
    query = engine.query("red", k=6, kinds=["image"])
    before = names(engine.search(query))
    assert len(before) == 3
    liked = engine.search(replace(query, liked=(Place(ids[before[-1]], None),)))
    assert names(liked).index(before[-1]) < 2
    assert all("feedback" in {line.channel for line in moment.evidence} for moment in liked.moments)
    disliked = engine.search(replace(query, disliked=(Place(ids[before[0]], None),)))
    assert names(disliked)[:1] != before[:1]


def test_similar_never_gives_the_thing_itself_nor_its_copy_elsewhere(
    engine: SearchEngine, folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere.png"
    shutil.copy(folder / "blue.png", copy)
    for path in (folder / "blue.png", copy):
        found = engine.similar(path)
        assert "blue.png" not in names(found) and names(found)[0] == "film.mp4"
        assert all(item.path.name != "blue.png" for moment in found.moments for item in moment.same)
    exact = engine.similar(copy, exact=True)
    assert "blue.png" in names(exact) + [item.path.name for m in exact.moments for item in m.same]
    odd = write_image(tmp_path / "white.png", "white", (300, 20))
    assert "blue.png" not in names(engine.similar(odd, exact=True))


def test_a_film_is_compared_by_a_second_that_is_named(engine: SearchEngine, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"film\.mp4@"):
        engine.similar(folder / "film.mp4")
    with pytest.raises(UsageError, match=r"film\.mp4@"):
        engine.query(f"image:{folder / 'film.mp4'}")
    assert names(engine.similar(folder / "film.mp4", at_s=9.0))[0] == "blue.png"


def test_copies_of_the_same_bytes_are_named(folder: Path, tmp_path: Path) -> None:
    models, media = ModelSet("test", ColourModel()), tmp_path / "media"
    media.mkdir()
    for name in ("b.png", "a.png", "c.png"):
        shutil.copy(folder / "blue.png", media / name)
    write_image(media / "green.png", "green")
    settings = Settings(library=tmp_path / "library", cache=tmp_path / "cache")
    index([media], library=settings.library, models=models, settings=settings)
    with SearchEngine(settings.library, models, settings) as engine:
        first, second = engine.search("blue").moments
        assert first.media.path == media / "a.png"
        assert [item.path for item in first.same] == [media / "b.png", media / "c.png"] and second.same == ()
        (media / "a.png").unlink()
        assert engine.search("blue").moments[0].media.path == media / "b.png"


def test_pictures_are_bounded(settings: Settings, folder: Path) -> None:
    from data.errors import MediaTooLarge

    small = settings.model_copy(update={"max_pixels": 1000})
    with SearchEngine(settings.library, ModelSet("test", ColourModel()), small) as engine:
        with pytest.raises(MediaTooLarge):
            engine.similar(folder / "blue.png")
        with pytest.raises(MediaTooLarge):
            engine.search(f"red image:{folder / 'blue.png'}")


class RerankDouble:
    """Likes blue pictures, whatever is asked, and sees "green" only in green ones."""

    def __init__(self, *, judged: int = 100) -> None:
        self.asked: list[str] = []
        self.judged = judged

    def rerank(
        self, query: str, clips: Sequence[Clip], *, criteria: Sequence[str] = (), budget_s: float | None = None
    ) -> list[RerankScore]:
        assert budget_s is not None and budget_s > 0
        self.asked.append(query)
        name = "green" if query == "green" else "blue"
        out = []
        for number, clip in enumerate(clips):
            near = np.abs(clip.frames[0].mean(axis=(0, 1)) - COLOURS[name]).max() < 40
            out.append(RerankScore(0.95 if near else 0.05, judged=number < self.judged))
        return out


def reranked(settings: Settings, double: RerankDouble, text: str, **options):
    models = ModelSet("test", ColourModel(), reranker=double)
    with SearchEngine(settings.library, models, settings.model_copy(update=options)) as engine:
        return engine.search(text)


def test_a_reranker_decides_the_order_and_the_score(settings: Settings) -> None:
    double = RerankDouble()
    found = reranked(settings, double, "yellow kind:image")
    assert names(found)[0] == "blue.png" and found.moments[0].score == 0.95
    assert found.moments[0].evidence[-1].channel == "rerank" and double.asked == ["yellow"]
    assert found.matches == 1 and not found.no_match
    assert names(reranked(settings, RerankDouble(judged=0), "yellow kind:image"))[0] == "yellow.png"
    assert names(reranked(settings, RerankDouble(), "yellow kind:image", rerank=0))[0] == "yellow.png"


def test_a_reranker_verifies_what_is_unwanted(settings: Settings) -> None:
    double = RerankDouble()
    found = reranked(settings, double, "yellow -green kind:image")
    assert double.asked == ["yellow", "green"] and "green.png" not in names(found)


class GrounderDouble:
    """Says that it happens in the second half of what it is shown."""

    def when(self, query: str, clip: Clip) -> tuple[Grounding, ...]:
        middle_s = (clip.start_s + clip.end_s) / 2
        return (Grounding(middle_s, clip.end_s, middle_s),)

    def where(self, query: str, picture: np.ndarray) -> tuple:
        return ()


def test_a_grounder_sets_the_bounds(settings: Settings) -> None:
    with SearchEngine(settings.library, ModelSet("test", ColourModel(), grounder=GrounderDouble()), settings) as engine:
        best = engine.search("green kind:video").moments[0]
    with SearchEngine(settings.library, ModelSet("test", ColourModel()), settings) as engine:
        before = engine.search("green kind:video").moments[0]
    assert best.media == before.media and best.start_s > before.start_s and best.start_s <= best.peak_s < best.end_s


def test_an_image_in_the_text_and_beside_it_are_one_query(engine: SearchEngine, folder: Path) -> None:
    from data.media import picture

    named = engine.search(f"image:{folder / 'yellow.png'} kind:image")
    given = engine.search(engine.query("kind:image", images=[ImageQuery(picture(folder / "yellow.png"))]))
    assert names(named) == names(given) and names(named)[0] == "yellow.png"
    away = engine.search(f"grey -image:{folder / 'yellow.png'} kind:image")
    assert names(away)[:1] != ["yellow.png"]


def test_media_that_vanish_meanwhile_are_left_out(engine: SearchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = engine.store.media

    def fewer(media_ids: Sequence[str] | None = None) -> Iterator[MediaItem]:
        return (item for item in kept(media_ids) if item.path.name != "blue.png")

    monkeypatch.setattr(engine.store, "media", fewer)
    assert "blue.png" not in names(engine.search("blue kind:image"))

"""Captions from a model server into a library: their times, their failures, and that none is paid twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import MissingMedia, ServerFailed
from data.settings import Settings
from data.store.base import Filter
from data.store.lance import create_or_open, open_reader
from data.types import Segment, TextSpan
from indexer.apart import Apart
from indexer.captions import CaptionReport, caption_library, clip_of, spans_of
from indexer.enrich import enrich
from models.base import Caption, Captioner, CaptionEvent, ModelSet
from models.cache import CachedCaptioner, open_cache
from models.qwen3vl.chat import ChatCaptioner
from models.server.chat import ServerChat
from models.server.client import Client
from tests.conftest import ColourModel
from tests.models_server.fake import FakeServer, colour_caption, words_of


def captioner(fake: FakeServer) -> Captioner:
    return ChatCaptioner(ServerChat(Client(fake.url, budget_s=2)))


def run(fake: FakeServer, settings: Settings, *paths: Path, **more: object) -> CaptionReport:
    with open_cache(settings) as cache:
        told = CachedCaptioner(captioner(fake), cache)
        return caption_library(paths, library=settings.library, captioner=told, settings=settings, **more)  # type: ignore[arg-type]


def captions(settings: Settings) -> dict[str, list[TextSpan]]:
    store = open_reader(settings.library)
    try:
        return {item.path.name: store.texts(item.media_id, ("caption",)) for item in store.media()}
    finally:
        store.close()


def asked(fake: FakeServer) -> int:
    return fake.counts["/chat/completions"]


def test_what_is_seen_is_found_at_its_second(fake: FakeServer, settings: Settings) -> None:
    report = run(fake, settings)
    assert (report.media, report.unchanged, report.failed_clips, report.failed) == (3, 0, 0, ())
    found = captions(settings)
    assert [span.text for span in found["red.png"]] == ["A plain red picture."]
    assert found["red.png"][0].start_s is None and found["red.png"][0].source.startswith(
        "fake-vl@server caption_image@"
    )
    starts = {span.text: span.start_s for span in found["film.mp4"] if span.text.startswith("The screen")}
    for colour, start_s in (("red", 0.0), ("green", 2.0), ("blue", 4.0), ("yellow", 6.0)):
        assert starts[f"The screen is {colour}."] == pytest.approx(start_s, abs=0.01)
    assert {span.text for span in found["blink.gif"]} >= {"The screen is yellow.", "The screen is white."}
    store = open_reader(settings.library)
    (hit, *_) = store.search_texts("yellow screen", 1, Filter(kinds=("video",)), channels=("caption",))
    assert hit.span.start_s == pytest.approx(6.0, abs=0.01)
    said = [words_of(body) for body in fake.bodies("/chat/completions")]
    assert any("ninety dollars" in words and "4.2 s" in words for words in said), "what is heard is shown beside it"


def test_nothing_is_paid_twice(fake: FakeServer, settings: Settings, tmp_path: Path) -> None:
    first = run(fake, settings)
    paid = asked(fake)
    again = run(fake, settings)
    assert (again.media, again.unchanged, again.clips, asked(fake)) == (0, 3, 0, paid)
    before = captions(settings)
    store = open_reader(settings.library)
    ids = [item.media_id for item in store.media()]
    manifest = store.manifest
    store.close()
    writer = create_or_open(settings.library, manifest.models, profile=manifest.profile)
    for media_id in ids:
        writer.put_texts(media_id, "caption", [], stage="")
    writer.close()
    third = run(fake, settings)
    assert third.clips == first.clips and asked(fake) == paid and captions(settings) == before
    other_language = run(fake, settings, language="zh")
    assert other_language.media == 3 and asked(fake) == 2 * paid


def test_a_failure_is_said_and_tried_again_only_when_asked(fake: FakeServer, settings: Settings) -> None:
    fake.answer = lambda body: "no idea" if "from 0.0 to" in words_of(body) else colour_caption(body)
    report = run(fake, settings)
    assert report.media == 3 and report.failed_clips == 2
    store = open_reader(settings.library)
    stages = {item.path.name: store.stages()[item.media_id]["caption"] for item in store.media()}
    store.close()
    assert stages["red.png"] == "fake-vl@server en" and stages["film.mp4"].startswith("fake-vl@server en failed=1/")
    assert all(span.start_s > 0 for span in captions(settings)["film.mp4"]), "nothing is made up for what failed"
    fake.answer = None
    assert run(fake, settings).unchanged == 3
    again = run(fake, settings, again=True)
    assert (again.media, again.failed_clips) == (2, 0) and captions(settings)["film.mp4"][0].start_s == 0.0


def test_a_server_that_breaks_loses_nothing(fake: FakeServer, settings: Settings) -> None:
    fake.missing = ("/chat/completions",)
    with pytest.raises(ServerFailed):
        run(fake, settings)
    assert captions(settings) == {"red.png": [], "blink.gif": [], "film.mp4": []}
    fake.missing = ()
    assert run(fake, settings).media == 3


def test_a_file_that_is_away_is_tried_again(fake: FakeServer, settings: Settings, shelf: Path, tmp_path: Path) -> None:
    away = shelf / "media" / "red.png"
    away.rename(tmp_path / "red.png")
    try:
        report = run(fake, settings)
        assert [Path(failure.path).name for failure in report.failed] == ["red.png"] and report.media == 2
    finally:
        (tmp_path / "red.png").rename(away)
    assert run(fake, settings).media == 1


def test_only_what_was_named(fake: FakeServer, settings: Settings, shelf: Path) -> None:
    assert run(fake, settings, shelf / "media" / "blink.gif").media == 1
    with pytest.raises(MissingMedia, match="nothing at"):
        run(fake, settings, shelf / "elsewhere")


def test_stopping_keeps_what_is_whole(fake: FakeServer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr("indexer.captions.BATCH_CLIPS", 1)
    report = run(fake, settings, on_progress=lambda *told: done.append(told[0]), should_stop=lambda: len(done) >= 2)
    assert report.interrupted and 1 <= report.media < 3 and asked(fake) == 2
    assert sum(map(bool, captions(settings).values())) == report.media, "a medium is whole or not there"
    rest = run(fake, settings)
    assert report.media + rest.media == 3 and asked(fake) == report.clips + rest.clips, "nothing is asked twice"


def test_indexing_describes_where_the_profile_can(fake: FakeServer, settings: Settings, shelf: Path) -> None:
    models = ModelSet("test", ColourModel(), captioner=captioner(fake))
    store = create_or_open(settings.library, {"joint": ColourModel.identity.as_dict()}, profile="test")
    try:
        told: list[str] = []
        done = enrich(
            store, [shelf / "media"], models, settings, listen=False, read=False, tell=lambda *row: told.append(row[0])
        )
        assert done.media == 3 and done.spans >= 8 and not done.warnings and set(told) == {"describe"}
        fake.missing = ("/chat/completions",)
        nothing_new = enrich(store, [shelf / "media"], models, settings, listen=False, read=False)
        assert nothing_new.media == 0 and not nothing_new.warnings
        other = settings.model_copy(update={"caption_language": "zh"})
        broken = enrich(store, [shelf / "media"], models, other, listen=False, read=False)
        assert len(broken.warnings) == 1 and "not all captions" in broken.warnings[0].reason
        assert enrich(store, [shelf / "none"], models, settings, listen=False, read=False).media == 0
    finally:
        store.close()


def test_clips_hold_the_segment_and_no_more(settings: Settings) -> None:
    store = open_reader(settings.library)
    items = {item.path.suffix: item for item in store.media()}
    heard = [TextSpan("speech", "inside", 2.0, 2.5), TextSpan("speech", "outside", 5.0, 6.0)]
    with Apart(settings.max_pixels) as files:
        clip = clip_of(items[".mp4"], Segment("m", 0, 1.25, 4.0), heard, files)
        gif = clip_of(items[".gif"], Segment("g", 0, 0.0, 1.5), [], files)
        still = clip_of(items[".png"], Segment("s", 0, None, None), [], files)
    assert clip.times_s[0] == 1.25 and all(a < b for a, b in zip(clip.times_s, clip.times_s[1:], strict=False))
    assert clip.times_s[-1] < 4.0 and 5 <= len(clip.frames) <= 7 and clip.transcript == "[2.0 s] inside"
    assert gif.times_s == pytest.approx((0.0, 0.5, 1.0)) and gif.kind == "gif"
    assert still.times_s == () and still.start_s is None and len(still.frames) == 1


def test_spans_of_a_caption() -> None:
    segment = Segment("m", 0, 1.0, 4.0)
    events = (CaptionEvent(1.0, 2.0, "A man waves."), CaptionEvent(2.0, 3.5, "He leaves."))
    caption = Caption("A man waves and leaves.", events, ("man", "door"), setting="a hall", model="m@1")
    spans = spans_of(segment, caption)
    assert [(span.start_s, span.end_s) for span in spans] == [(1.0, 4.0), (1.0, 2.0), (2.0, 3.5)]
    assert spans[0].text == "A man waves and leaves. (door, a hall)" and {span.source for span in spans} == {"m@1"}
    assert spans_of(segment, Caption("", failed="unreadable")) == []
    one = Caption("A man waves.", (CaptionEvent(1.0, 4.0, "A man waves."),))
    assert len(spans_of(segment, one)) == 1, "an event that says no more than the whole adds nothing"


def test_many_texts_at_once_are_those_of_one_by_one(settings: Settings) -> None:
    manifest = open_reader(settings.library).manifest
    store = create_or_open(settings.library, manifest.models, profile=manifest.profile)
    try:
        ids = [item.media_id for item in store.media()]
        spoken = [store.texts(media_id, ("speech",)) for media_id in ids]
        batch = [(media_id, [TextSpan("caption", f"number {n}", 0.0, 1.0)], f"s{n}") for n, media_id in enumerate(ids)]
        store.put_many_texts("caption", batch)
        store.put_many_texts("caption", [(ids[0], [], "again")])
        assert [store.texts(media_id, ("speech",)) for media_id in ids] == spoken and any(spoken)
        assert store.texts(ids[0], ("caption",)) == [] and store.texts(ids[1], ("caption",)) == batch[1][1]
        assert [store.stages()[media_id]["caption"] for media_id in ids] == ["again", "s1", "s2"]
        assert {hit.media_id for hit in store.search_texts("number", 9, Filter(), channels=("caption",))} == {*ids[1:]}
        with pytest.raises(ValueError, match="other channels"):
            store.put_many_texts("speech", batch)
    finally:
        store.close()

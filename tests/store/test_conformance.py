"""What every Store must do."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from data.store.base import Condition, Filter
from data.types import MediaInfo, TextSpan
from tests.store.made import file_row, medium, spans, unit

NASTY = ["/a'b", '/a"b', "/new\nline", "/\N{DOG FACE}", "/%41%0041", "/\udcff\udc80raw", "/\ud800", "/''; --", "/a\\b"]


def search(store, vector, k=100, **where):
    return store.search_vectors("joint", vector, k, Filter(**where))


def test_what_is_added_comes_back_whole(store):
    info = MediaInfo(
        "video", 1920, 1080, 12.25, "matroska,webm", "vp9", 270, 23.976, True, "2024-01-01T00:00:00+02:00",
        {"title": "\udcff'\n\x00\N{DOG FACE}%41", "": ""},
    )  # fmt: skip
    added = medium("m1", "/x.mkv", info=info, frames=5)
    store.add([added])
    (item,) = store.media()
    assert (item.media_id, str(item.path), item.info, item.size_bytes) == ("m1", "/x.mkv", info, 7)
    assert store.files() == {"/x.mkv": added.file}
    assert store.segments("m1") == list(added.segments)
    frames = store.frame_vectors("joint", "m1")
    np.testing.assert_array_equal(frames.times_s, added.times_s)
    np.testing.assert_array_equal(frames.segment_of_frame, added.segment_of_frame)
    np.testing.assert_allclose(frames.vectors, added.vectors["joint"], atol=5e-4)
    assert frames.vectors.dtype == np.float32


def test_a_still_has_no_times(store):
    still = medium("s", "/s.jpg", kind="image")
    store.add([still])
    (hit,) = search(store, still.vectors["joint"][0])
    assert hit.time_s is None and hit.score == pytest.approx(1, abs=1e-3)
    assert np.isnan(store.frame_vectors("joint", "s").times_s).all()
    assert store.segments("s")[0].start_s is None


@pytest.mark.parametrize("text", NASTY)
def test_any_path_and_id_round_trips(store, text):
    store.add([medium(text, text), medium("other", "/other", seed=1)])
    store.record_files([file_row(text + "2", text), file_row(text + "3", "", reason=text)])
    assert set(store.files()) == {text, text + "2", text + "3", "/other"}
    assert store.files()[text + "3"].reason == text
    (item,) = store.media([text])
    assert (item.media_id, str(item.path)) == (text, text)
    query = np.eye(16, dtype=np.float32)[0]
    assert {hit.media_id for hit in search(store, query, media_ids=(text,))} == {text}
    assert {hit.media_id for hit in search(store, query, exclude_media_ids=(text,))} == {"other"}
    assert store.forget_paths([text, text + "3"]) == 0
    assert store.forget_paths([text + "2"]) == 1
    assert set(store.files()) == {"/other"}


def test_k_are_returned_when_k_exist_under_every_filter(store):
    store.add([medium(f"v{i}", f"/v{i}", seed=i, frames=4) for i in range(5)])
    store.add([medium(f"i{i}", f"/i{i}", seed=50 + i, kind="image") for i in range(5)])
    query = unit(np.random.default_rng(9), 1)[0]
    assert [len(search(store, query, k)) for k in (1, 7, 25, 99)] == [1, 7, 25, 25]
    assert len(search(store, query, 5, kinds=("image",))) == 5
    assert len(search(store, query, 4, media_ids=("v3", "nowhere"))) == 4
    assert len(search(store, query, 99, kinds=("video",), exclude_media_ids=("v0", "nowhere"))) == 16
    assert search(store, query, 5, kinds=("gif",)) == [] == search(store, query, 5, media_ids=("nowhere",))
    scores = [hit.score for hit in search(store, query)]
    assert scores == sorted(scores, reverse=True)


def test_no_search_waits_for_a_write_and_each_sees_one_state(store, request, monkeypatch):
    if "reference" in request.node.name:
        pytest.skip("the reference has no threads")
    store.add([medium("a", "/a", seed=1, frames=4), medium("b", "/b", seed=2, frames=4)])
    query, begun, go_on, upsert = np.eye(16, dtype=np.float32)[0], threading.Event(), threading.Event(), store._upsert

    def held_up(table, *arguments):
        if table == "media":
            begun.set()
            assert go_on.wait(60)
        upsert(table, *arguments)

    before = search(store, query), store.search_texts("hello", 9, Filter())
    monkeypatch.setattr(store, "_upsert", held_up)
    with ThreadPoolExecutor(2) as others:
        writing = others.submit(store.add, [medium("a", "/a", seed=3, frames=4), medium("c", "/c", seed=4, frames=4)])
        assert begun.wait(60)
        try:
            for _ in range(2):
                assert others.submit(search, store, query).result(30) == before[0]
                assert others.submit(store.search_texts, "hello", 9, Filter()).result(30) == before[1]
                assert {item.media_id for item in others.submit(store.media).result(30)} == {"a", "b"}
        finally:
            go_on.set()
        writing.result(60)
    after = search(store, query)
    assert len(after) == 12 and [h for h in after if h.media_id == "b"] == [h for h in before[0] if h.media_id == "b"]
    assert {h.score for h in after if h.media_id == "a"}.isdisjoint(h.score for h in before[0] if h.media_id == "a")


def test_adding_again_replaces(store):
    store.add([medium("m", "/m", seed=1, frames=8)])
    store.add([medium("m", "/m2", seed=2, frames=4)])
    assert store.stats().frames == 4 and store.stats().files == 2
    assert len(search(store, np.eye(16, dtype=np.float32)[0])) == 4
    assert {str(item.path) for item in store.media()} <= {"/m", "/m2"}


def test_two_copies_in_one_batch_are_one_medium(store):
    store.add([medium("m", "/a"), medium("m", "/b")])
    assert store.stats().media == {"video": 1} and store.stats().frames == 3 and set(store.files()) == {"/a", "/b"}


def test_a_content_goes_with_its_last_path(store):
    store.add([medium("m", "/a"), medium("n", "/n", seed=4)])
    store.record_files([file_row("/b", "m")])
    assert store.forget_paths(["/a", "/nowhere"]) == 0
    assert [str(item.path) for item in store.media(["m"])] == ["/b"]
    store.record_files([file_row("/b", "", reason="is gone bad")])
    assert [item.media_id for item in store.media()] == ["n"] and store.stats().failed == 1
    store.add([medium("n2", "/n", seed=5)])
    assert [item.media_id for item in store.media()] == ["n2"]
    assert store.segments("n") == [] and {h.media_id for h in search(store, np.eye(16, dtype=np.float32)[0])} == {"n2"}


def test_media_come_in_the_order_asked_and_unknown_ones_are_left_out(store):
    store.add([medium(f"m{i}", f"/{i}") for i in range(4)])
    assert [item.media_id for item in store.media(["m3", "nowhere", "m1"])] == ["m3", "m1"]
    assert list(store.media([])) == []


def test_frames_come_in_order_of_time(store):
    rows = medium("m", "/m", frames=6)
    order = np.array([3, 0, 5, 1, 4, 2])
    mixed = type(rows)(
        "m", rows.info, 7, rows.times_s[order], rows.segment_of_frame[order], rows.segments,
        {"joint": rows.vectors["joint"][order]}, rows.file,
    )  # fmt: skip
    store.add([mixed])
    frames = store.frame_vectors("joint", "m")
    np.testing.assert_array_equal(frames.times_s, rows.times_s)
    np.testing.assert_allclose(frames.vectors, rows.vectors["joint"], atol=5e-4)


def test_a_copy_that_exists_is_preferred(store, tmp_path, request):
    if "reference" in request.node.name:
        pytest.skip("the reference has no disk")
    there = tmp_path / "z.mp4"
    there.touch()
    store.add([medium("m", "/nowhere/a.mp4")])
    store.record_files([file_row(str(there), "m")])
    assert next(store.media()).path == Path(there)


def test_nothing_at_all(store):
    store.add([])
    store.record_files([])
    assert store.forget_paths([]) == 0 and store.files() == {} and list(store.media()) == []
    assert search(store, np.eye(16, dtype=np.float32)[0]) == []


def test_texts_are_found_in_english_and_chinese(store, request):
    store.add([medium("m", "/m", seed=1), medium("n", "/n", seed=2), medium("s", "/s", kind="image")])
    store.put_texts("s", "screen", [TextSpan("screen", "SALE: sofas 50% off", None, None)], stage="r1")
    store.put_texts("m", "caption", [TextSpan("caption", "今天的天气很好，我们去公园散步", 1.0, 2.0)], stage="c1")
    (hit,) = store.search_texts("word1", 1, Filter())
    assert hit.media_id == "m" and "word1" in hit.span.text
    assert {h.media_id for h in store.search_texts("word1 word2", 9, Filter())} == {"m", "n"}
    assert [h.media_id for h in store.search_texts("word2", 9, Filter(media_ids=("m",)))] == []
    assert (
        store.search_texts("nowhere", 9, Filter())
        == store.search_texts("hello", 9, Filter(), channels=["caption"])
        == []
    )
    assert {h.media_id for h in store.search_texts("hello word2", 9, Filter(), phrase=True)} == {"n"}
    if "reference" in request.node.name:
        return  # knows no stems and no Chinese words
    assert [h.media_id for h in store.search_texts("公园", 9, Filter())] == ["m"]
    assert [h.media_id for h in store.search_texts("天气很好", 9, Filter(), phrase=True)] == ["m"]
    assert [h.media_id for h in store.search_texts("sofa", 9, Filter())] == ["s"]
    for odd in ("", "…", "' OR 1=1 --", '"', "word1)(", "+-*^~"):
        assert all(h.media_id == "m" for h in store.search_texts(odd, 9, Filter(), phrase='"' in odd))


def test_a_later_pass_replaces_one_channel(store):
    store.add([medium("m", "/m", seed=1)])
    before = store.texts("m")
    store.put_texts("m", "screen", spans("on screen", "screen"), stage="ocr@1")
    assert store.texts("m", ["speech"]) == before
    assert store.texts("m", ["screen"]) == list(spans("on screen", "screen"))
    assert store.stages()["m"] == {"frames": "all", "screen": "ocr@1"} and store.stats().texts == 4
    store.put_texts("m", "speech", [], stage="none")
    assert store.texts("m") == list(spans("on screen", "screen")) and store.search_texts("word1", 5, Filter()) == []
    store.add([medium("m", "/m", seed=2)])
    assert store.stages()["m"] == {"frames": "all"} and [h.media_id for h in store.search_texts("word2", 1, Filter())]


@pytest.mark.parametrize(
    "name, op, value, ids",
    [
        ("price", "<", 3, "m1 m2"), ("price", ">=", 3.0, "m3"), ("price", "=", 2, "m2"), ("price", "!=", 2, "m1 m3 s"),
        ("price", "<", "3", ""), ("name", "=", "IT'S", "m1 m2 m3"), ("name", "contains", "T'", "m1 m2 m3"),
        ("missing", "=", 1, ""), ("missing", "!=", 1, "m1 m2 m3 s"), ("duration_s", "<", 60, "m1 m2 m3"),
        ("path", "under", "/dir", "m1 m2"), ("path", "under", "/di", ""), ("path", "contains", "FILM", "m2"),
        ("codec", "=", "H264", "m1 m2 m3 s"), ("captured_at", ">=", "2024", "s"), ("camera", "contains", "canon", "s"),
        ("field.width", "=", 1, "s"), ("width", ">", 100, "m1 m2 m3 s"),
    ],
)  # fmt: skip
def test_conditions_are_exact(store, request, name, op, value, ids):
    if "reference" in request.node.name:
        pytest.skip("the reference knows one condition")
    still = MediaInfo("image", 640, 360, None, "jpeg", "h264", captured_at="2024-05-01", tags={"camera": "Canon EOS"})
    store.add(
        [medium("m1", "/dir/a.mp4", seed=1), medium("m2", "/dir/x/film.mp4", seed=2), medium("m3", "/other/c", seed=3)]
    )
    store.add([medium("s", "/s.jpg", kind="image", info=still)])
    store.put_fields({"s": {"width": 1, "sold": True}, "nowhere": {"a": 1}})
    where = Filter(conditions=(Condition(name, op, value),))
    hits = store.search_vectors("joint", np.eye(16, dtype=np.float32)[0], 99, where)
    assert {hit.media_id for hit in hits} == set(ids.split())
    assert {hit.media_id for hit in store.search_texts("hello", 99, where)} == set(ids.split()) - {"s"}


def test_fields_and_texts_that_are_none_are_refused(store, request):
    if "reference" in request.node.name:
        pytest.skip("the reference checks nothing")
    store.add([medium("m", "/m")])
    with pytest.raises(ValueError, match="price"):
        store.put_fields({"m": {"price": float("nan")}})
    with pytest.raises(ValueError, match="other channels"):
        store.put_texts("m", "screen", spans("x", "speech"), stage="s")
    with pytest.raises(ValueError, match="from 2"):
        store.put_texts("m", "speech", [TextSpan("speech", "x", 2.0, 1.0)], stage="s")
    assert next(store.media()).fields == {"price": 0.0, "name": "it's"}

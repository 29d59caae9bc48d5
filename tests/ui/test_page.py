"""The pages without a browser: what stands on them in each state, and the media routes beside them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from data.store.lance import open_reader
from data.types import Box, Evidence, MediaItem, Moment, Pixels
from search.query import build
from tests.conftest import COLOURS, write_video
from tests.ui.conftest import BIG_BYTES, Shelf
from ui import marks
from ui.app import clips, routes
from ui.app.facets import facets, narrowed
from ui.app.shown import Spot, card, player

MAIN = str(Path(routes.__file__).with_name("main.py"))


@pytest.fixture
def items(page_library: Shelf) -> dict[str, MediaItem]:
    store = open_reader(page_library.library)
    try:
        return {item.path.suffix: item for item in store.media() if "odd" not in item.path.name}
    finally:
        store.close()


@pytest.fixture
def client(page_library: Shelf) -> TestClient:
    return TestClient(Starlette(routes=routes.routes()), base_url="http://127.0.0.1:8501")


def colour_of(rgb: np.ndarray) -> str:
    mean = rgb.reshape(-1, 3).mean(axis=0)
    return min(COLOURS, key=lambda name: np.abs(mean - COLOURS[name]).sum())


def jpeg_colour(content: bytes) -> str:
    from PIL import Image

    return colour_of(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))


def run_page() -> AppTest:
    page = AppTest.from_file(MAIN, default_timeout=60).run()
    assert not page.exception
    return page


def texts(page: AppTest) -> str:
    kinds = (page.subheader, page.markdown, page.caption, page.code, page.info, page.error)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def test_an_empty_library_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECONDSIGHT_LIBRARY", str(tmp_path / "none"))
    said = texts(run_page())
    assert "This library is empty" in said and f"secondsight index PATH --library '{tmp_path / 'none'}'" in said


def test_without_a_question_the_library_is_shown(page_library: Shelf) -> None:
    page = run_page()
    assert len(page.session_state.spots) == 4 and "In this library" in texts(page)
    page.button_group(key="kinds").set_value(["gif"]).run()
    assert [spot.item.path.name for spot in page.session_state.spots] == ["blink.gif"]


def test_words_are_answered_and_no_match_is_said(page_library: Shelf) -> None:
    page = run_page()
    page.text_input(key="q").set_value("quarterly tax forms signed by two lawyers").run()
    assert not page.exception
    assert page.info[0].value.startswith("**Nothing here matches** “quarterly tax forms")
    assert not page.session_state.spots and "result" not in texts(page), "the nearest are folded away"
    page.button(key="show_near").click().run()
    assert page.session_state.spots and "The nearest: none of them a match" in texts(page)
    assert "show_near" not in [button.key for button in page.button]
    page.text_input(key="q").set_value("quarterly tax forms signed by three lawyers").run()
    assert page.info and not page.session_state.spots, "folded away again"
    page.text_input(key="q").set_value("a plain red picture").run()
    assert not page.info and page.session_state.spots and "results in" in texts(page)


def test_a_verdict_changes_the_answer_at_once_and_is_kept(page_library: Shelf) -> None:
    from search.feedback import judgements

    page = run_page()
    page.text_input(key="q").set_value("a plain colour").run()
    first = page.session_state.spots[0]
    before = [spot.key for spot in page.session_state.spots]
    page.session_state.open = first
    page.run()
    assert any("looks like" in text for text in texts(page).splitlines()), "why it was found"
    page.button(key="verdict_False").click().run()
    assert not page.exception
    assert page.session_state.judged.disliked and "drawn by what you liked" in texts(page)
    assert [spot.key for spot in page.session_state.spots] != before
    told = list(judgements(page_library.library))
    assert [(one.query, one.file, one.good) for one in told] == [("a plain colour", str(first.item.path), False)]
    page.text_input(key="q").set_value("another question").run()
    assert not page.session_state.judged.disliked


def test_the_limit_that_left_nothing_is_dropped_by_a_click(page_library: Shelf) -> None:
    page = run_page()
    page.text_input(key="q").set_value("a plain red picture duration>5").run()
    page.button_group(key="kinds").set_value(["gif"]).run()
    assert "Nothing here matches" in page.info[0].value
    labels = [button.label for button in page.button if button.key and button.key.startswith("loose")]
    assert labels and all("without" in label for label in labels)
    page.button(key="loose 0").click().run()
    assert not page.exception and not page.info and page.session_state.spots
    assert page.text_input(key="q").value == "a plain red picture" or not page.session_state.kinds


def test_folders_and_years_narrow(items: dict[str, MediaItem]) -> None:
    from dataclasses import replace

    def at(path: str, year: str) -> MediaItem:
        film = items[".mp4"]
        return replace(film, path=Path(path), info=replace(film.info, captured_at=year))

    media = [at("/m/a/1.mp4", "2024-05-01T10:00"), at("/m/a/b/2.mp4", "2025"), at('/m/a "c"/3.mp4', "")]
    found = facets(media)
    assert found.kinds == {"video": 3} and found.folders == {"/m/a": 2, "/m/a/b": 1}
    assert list(found.years.items()) == [("2025", 1), ("2024", 1)] and found.shown("/m/a/b") == "a/b"
    text = narrowed("a dog", "/m/a", "2024")
    query = build(text, fields={})
    assert [(one.name, one.op, one.value) for one in query.conditions] == [
        ("path", "under", "/m/a"), ("captured_at", ">=", "2024"), ("captured_at", "<", "2025"),
    ]  # fmt: skip
    assert narrowed("a dog", "", "") == "a dog" and facets([]).folders == {}


def test_a_shared_address_opens_on_the_second(page_library: Shelf, items: dict[str, MediaItem]) -> None:
    page = AppTest.from_file(MAIN, default_timeout=60)
    page.query_params["open"] = f"{items['.mp4'].media_id}@5.000"
    page.run()
    assert not page.exception and page.session_state.open.peak_s == 5.0
    assert page.session_state.open.item.path.name == "film.mp4"
    page.button(key="close").click().run()
    assert "open" not in page.query_params and page.session_state.open is None
    page.button_group(key="kinds").set_value(["gif", "image"]).run()
    assert page.query_params["kinds"] == ["gif", "image"]
    again = AppTest.from_file(MAIN, default_timeout=60)
    again.query_params["kinds"] = ["gif", "song"]
    again.run()
    assert [spot.item.path.name for spot in again.session_state.spots] == ["blink.gif"]
    for wrong in ("nothing@5", f"{items['.mp4'].media_id}@99999", f"{items['.png'].media_id}@x", "@"):
        page = AppTest.from_file(MAIN, default_timeout=60)
        page.query_params["open"] = wrong
        page.run()
        assert not page.exception, wrong


def test_the_query_language_is_read_and_its_mistakes_are_one_line(page_library: Shelf) -> None:
    page = run_page()
    page.text_input(key="q").set_value("a colour kind:gif").run()
    assert {spot.item.info.kind for spot in page.session_state.spots} == {"gif"}
    page.text_input(key="q").set_value('a "colour').run()
    assert not page.exception and "never closed" in page.error[0].value
    page.text_input(key="q").set_value("image:/etc/hostname red").run()
    assert not page.exception and "Pictures cannot be named in words here" in page.error[0].value.replace("\\", "")


def test_a_picture_is_asked_by_upload(page_library: Shelf) -> None:
    page = run_page()
    upload = ("red.png", (page_library.media / "red.png").read_bytes(), "image/png")
    page.file_uploader(key="upload").set_value(upload).run()
    page.button_group(key="kinds").set_value(["video"]).run()
    assert not page.exception and "Looks like **red\\.png**" in texts(page)
    best = page.session_state.spots[0]
    assert best.item.path.name == "film.mp4" and 0 <= best.peak_s < 2


def test_a_film_is_asked_by_the_second_that_is_written(page_library: Shelf, tmp_path: Path) -> None:
    film = write_video(tmp_path / "mine.mp4", ["blue", "red"], seconds_each=1)
    page = run_page()
    page.file_uploader(key="upload").set_value(("mine.mp4", film.read_bytes(), "video/mp4")).run()
    assert not page.exception and not page.error and "Which second of mine\\.mp4?" in page.info[0].value
    assert not page.session_state.spots
    page.number_input[0].set_value(1.5).run()
    assert not page.exception and not page.error and "Looks like **mine\\.mp4 at 00\\:01\\.5**" in texts(page)
    page.button_group(key="kinds").set_value(["image"]).run()
    assert page.session_state.spots[0].item.path.name == "red.png"
    other = write_video(tmp_path / "other.mp4", ["green"], seconds_each=1)
    page.file_uploader(key="upload").set_value(("other.mp4", other.read_bytes(), "video/mp4")).run()
    assert not page.error and "Which second of other\\.mp4?" in page.info[0].value, "not the first one's second"
    assert page.number_input[0].value is None


def test_an_upload_is_what_its_bytes_are(page_library: Shelf, tmp_path: Path) -> None:
    film = write_video(tmp_path / "mine.mp4", ["blue", "red"], seconds_each=1)
    page = run_page()
    page.file_uploader(key="upload").set_value(("mine.png", film.read_bytes(), "image/png")).run()
    assert not page.exception and not page.error and "Which second of mine\\.png?" in page.info[0].value
    page.number_input[0].set_value(1.5).run()
    assert not page.exception and not page.error and "Looks like **mine\\.png at 00\\:01\\.5**" in texts(page)
    still = (page_library.media / "red.png").read_bytes()
    page.file_uploader(key="upload").set_value(("still.mp4", still, "video/mp4")).run()
    assert not page.exception and not page.error and not page.number_input and page.session_state.spots
    assert "Looks like **still\\.mp4**" in texts(page) and "Which second" not in texts(page)


def test_a_thumbnail_holds_no_upload(page_library: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from ui.app import asking

    session: dict[str, object] = {}
    monkeypatch.setattr(asking.st, "session_state", session)
    content = (page_library.media / "red.png").read_bytes()
    uploads = [content + bytes([number]) for number in range(3)]
    free = [sys.getrefcount(one) for one in uploads]
    reference = asking.Reference("red.png", upload=uploads[0])
    first = reference.thumbnail_jpeg()
    assert jpeg_colour(first) == "red" and reference.thumbnail_jpeg() is first
    for upload in uploads:
        asking.Reference("red.png", upload=upload).thumbnail_jpeg()
    del reference, upload
    assert [sys.getrefcount(one) for one in uploads] == free


def test_an_upload_that_is_no_picture_is_one_line(page_library: Shelf) -> None:
    page = run_page()
    page.file_uploader(key="upload").set_value(("red.png", b"not a picture", "image/png")).run()
    assert not page.exception and len(page.error) == 1


def test_an_open_moment_and_its_close(page_library: Shelf, items: dict[str, MediaItem]) -> None:
    page = run_page()
    page.session_state.open = Spot(items[".mp4"], 2.0, 3.0, 4.0, 0.8, ("because",))
    page.run()
    assert not page.exception and page.metric[0].value == "80%"
    assert "**00:03.0** in 00:02.0–00:04.0" in texts(page) and "because" in texts(page)
    page.button(key="close").click().run()
    assert page.session_state.open is None


def test_the_part_of_a_picture_that_answers_is_framed(
    page_library: Shelf, items: dict[str, MediaItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    framed: list[Box] = []
    marked = marks.marked_jpeg

    def watched(rgb: Pixels, boxes: Sequence[Box], side: int = 1600) -> bytes:
        framed.extend(boxes)
        return marked(rgb, boxes, side)

    monkeypatch.setattr(marks, "marked_jpeg", watched)
    part = Box(0, 0, 2, 2)
    resting = Evidence("picture", 1, 0.9, None, box=part)
    page = run_page()
    page.session_state.open = Spot.of_moment(Moment(items[".png"], None, None, None, 0.8, (resting,)))
    page.run()
    assert not page.exception and framed == [part]


def test_the_library_page(page_library: Shelf) -> None:
    page = run_page().switch_page("views/library.py").run()
    assert not page.exception
    facts = {metric.label: metric.value for metric in page.metric}
    assert (facts["Videos"], facts["GIFs"], facts["Images"]) == ("1", "1", "2")
    failed, files = (table.value for table in page.dataframe)
    assert failed["File"][0] == "fake.mp4" and failed["Reason"][0].startswith("is named like a video")
    assert len(files) == 4


def test_the_library_page_lists_on_a_phone_what_the_table_holds(
    page_library: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = run_page().switch_page("views/library.py")
    page.session_state.shown_files = 3
    page.run()
    listed = [one.value for one in page.markdown]
    assert listed[0].startswith("**fake\\.mp4**  \nis named like") and len(listed) == 1 + 3
    assert "**film\\.mp4**  \nvideo · 00\\:08\\.0 · " in "".join(listed)
    page.button(key="more_files").click().run()
    assert len(page.markdown) == 1 + 4 and not page.button


def test_ranges_of_a_file_over_200_mb(client: TestClient, items: dict[str, MediaItem]) -> None:
    film = items[".mp4"]
    url, content = routes.play_url(film), film.path.open("rb")
    content.seek(-1000, io.SEEK_END)
    part = client.get(url, headers={"Range": f"bytes={BIG_BYTES - 1000}-"})
    assert part.status_code == 206 and part.content == content.read()
    assert part.headers["content-range"] == f"bytes {BIG_BYTES - 1000}-{BIG_BYTES - 1}/{BIG_BYTES}"
    assert part.headers["content-type"] == "video/mp4" and part.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in part.headers["content-security-policy"]
    content.close()


@pytest.mark.parametrize("name", ["0" * 40, "..%2f..%2fetc%2fpasswd", "%00", "red.png"])
def test_only_what_the_library_holds_is_served(client: TestClient, name: str) -> None:
    for route in ("play", "still", "clip"):
        assert client.get(f"/{route}/{name}").status_code == 404


def test_bad_requests(client: TestClient, items: dict[str, MediaItem]) -> None:
    film, picture = items[".mp4"], items[".png"]
    for url in (
        f"/still/{film.media_id}?t=999",
        f"/still/{film.media_id}?t=nan",
        f"/still/{film.media_id}?side=5000",
        f"/clip/{film.media_id}",
        f"/clip/{picture.media_id}?t=0",
        f"/play/{picture.media_id}",
    ):
        assert client.get(url).status_code == 400, url
    assert client.post(f"/play/{film.media_id}").status_code == 405


def test_other_host_names_are_refused(client: TestClient, items: dict[str, MediaItem]) -> None:
    url = routes.still_url(items[".png"], None)
    assert client.get(url).status_code == 200
    assert client.get(url, headers={"Host": "rebound.example"}).status_code == 403


def test_stills_show_the_asked_second(client: TestClient, items: dict[str, MediaItem]) -> None:
    for at_s, colour in ((0.0, "red"), (1.95, "red"), (2.0, "green"), (5.0, "blue"), (7.9, "yellow")):
        assert jpeg_colour(client.get(routes.still_url(items[".mp4"], at_s)).content) == colour
    assert jpeg_colour(client.get(routes.still_url(items[".gif"], 0.6)).content) == "yellow"
    assert jpeg_colour(client.get(routes.still_url(items[".png"], None)).content) == "red"


def test_clips_keep_the_time_of_the_original(
    client: TestClient, items: dict[str, MediaItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    import av

    monkeypatch.setattr(clips, "CLIP_S", 4.0)
    film = items[".mp4"]
    start_s = clips.clip_start_s(film, 5.0)
    assert start_s == pytest.approx(3.0)
    content = client.get(f"{routes.clip_url(film)}?t=5.0").content
    with av.open(io.BytesIO(content)) as clip:
        shown = [(frame.time + start_s, colour_of(frame.to_ndarray(format="rgb24"))) for frame in clip.decode(video=0)]
    assert len(shown) == 40 and shown[0][0] == pytest.approx(3.0, abs=0.001)
    for time_s, colour in shown:
        assert colour == ["red", "green", "blue", "yellow"][int(time_s / 2 + 1e-6)], time_s


def test_the_player_is_told_of_the_other_results(items: dict[str, MediaItem]) -> None:
    film = items[".mp4"]
    spots = [Spot(film, 0.0, 1.0, 2.0, 0.9), Spot(items[".png"], None, None, None, 0.8), Spot(film, 4.0, 5.0, 6.0, 0.7)]
    assert player(spots[0], spots, 1)["marks"] == [{"rank": 3, "start_s": 4.0, "peak_s": 5.0, "end_s": 6.0}]
    shown = card(spots[2], is_open=True)
    assert shown["second"] == "00:05.0" and shown["share"] == pytest.approx([0.5, 0.25], abs=0.01)
    assert card(spots[1], is_open=False)["second"] == ""


def test_a_card_is_told_from_any_that_was_there_before(items: dict[str, MediaItem]) -> None:
    film = items[".mp4"]
    keys = {Spot.of_medium(film).key, Spot(film, 0.0, 0.0, 2.0, 0.9).key, Spot(film, 0.0, 1.0, 2.0, 0.9).key}
    assert len(keys) == 3 and card(Spot.of_medium(film), is_open=False)["key"] in keys

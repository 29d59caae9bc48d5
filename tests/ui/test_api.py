"""The HTTP API over a real library: what it answers, and whom it refuses."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from tests.conftest import write_video
from tests.ui.conftest import COMMAND, Shelf, run
from ui import api, uploads
from ui.app import held, routes

HERE = "http://127.0.0.1:8502"


@pytest.fixture
def client(page_library: Shelf) -> TestClient:
    return TestClient(api.application(), base_url=HERE)


def upload(path: Path, **fields: object) -> dict[str, object]:
    return {
        "data": {name: str(value) for name, value in fields.items()},
        "files": {"image": (path.name, path.open("rb"))},
    }


def test_words_find_moments_with_addresses_of_their_pictures(client: TestClient) -> None:
    said = client.get("/api/search", params={"q": "red", "k": 3, "kind": "video"}).json()
    assert said["query"] == "red" and isinstance(said["no_match"], bool) and len(said["results"]) <= 3
    best = said["results"][0]
    assert best["path"].endswith("film.mp4") and best["start_s"] <= best["peak_s"] <= best["end_s"]
    for name, kind in (("still_url", "image/jpeg"), ("clip_url", "video/mp4")):
        answer = client.get(best[name])
        assert answer.status_code == 200 and answer.headers["content-type"] == kind
    assert client.get(best["play_url"], headers={"Range": "bytes=0-99"}).status_code == 206


def test_the_answer_is_the_command_lines(client: TestClient, page_library: Shelf) -> None:
    import json

    here = client.get("/api/search", params={"q": "blue", "k": 5}).json()["results"]
    there = json.loads(run("search", "blue", "-k", 5, "--library", page_library.library, "--json").stdout)["results"]
    assert [(one["path"], one["peak_s"]) for one in here] == [(one["path"], one["peak_s"]) for one in there]


def test_a_picture_finds_its_like(client: TestClient, page_library: Shelf) -> None:
    said = client.post("/api/search", **upload(page_library.media / "red.png", k=1)).json()
    assert said["results"][0]["path"].endswith("red.png")


def test_a_film_is_compared_by_the_second_that_is_named(
    client: TestClient, page_library: Shelf, tmp_path: Path
) -> None:
    film = write_video(tmp_path / "mine.mp4", ["blue", "red"], seconds_each=1)
    answer = client.post("/api/search", **upload(film, k=1, kind="image"))
    said = answer.json()["error"]
    assert answer.status_code == 400 and said.startswith("'mine.mp4' is a film") and said.endswith("t=12.5.")
    said = client.post("/api/search", **upload(film, k=1, kind="image", t=1.5)).json()
    assert said["results"][0]["path"].endswith("red.png")
    answer = client.post("/api/search", **upload(film, t=99))
    assert answer.status_code == 400 and "'mine.mp4', which lasts" in answer.json()["error"]
    blink = page_library.media / "blink.gif"
    assert client.post("/api/search", **upload(blink, k=1)).status_code == 200, "an animation has a first picture"
    answer = client.post("/api/search", **upload(page_library.media / "red.png", t=1))
    assert answer.status_code == 400 and "'red.png' is a still" in answer.json()["error"]


def black_film(path: Path, frames: int) -> Path:
    """Ten frames a second behind one key frame, as quickly written as they are few bytes: each says "no change"."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flv", rate=10)
        stream.width, stream.height, stream.pix_fmt = 1280, 800, "yuv420p"
        black = av.VideoFrame.from_ndarray(np.zeros((800, 1280, 3), np.uint8), format="rgb24")
        key, same = (bytes(stream.encode(black)[0]) for _ in range(2))
        for number in range(frames):
            packet = av.Packet(same if number else key)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 10), not number
            packet.pts = packet.dts = number
            container.mux(packet)
    return path


def test_a_film_of_one_key_frame_is_given_up_in_time(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = black_film(tmp_path / "long.avi", frames=20_000)
    assert client.post("/api/search", **upload(film, t=1, k=1)).status_code == 200
    monkeypatch.setattr(uploads, "MOST_S", 1.0)
    started_s = time.monotonic()
    answer = client.post("/api/search", **upload(film, t=1999, k=1))
    assert answer.status_code == 415 and "within 1 s" in answer.json()["error"] and "'long.avi'" in answer.text
    assert time.monotonic() - started_s < 5


def test_too_large_a_film_is_told_as_that(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_video(tmp_path / "mine.mp4", ["blue"])
    small = held.settings().model_copy(update={"max_pixels": 1000})
    monkeypatch.setattr(held, "settings", lambda: small)
    answer = client.post("/api/search", **upload(film, t=0.5, k=1))
    assert answer.status_code == 413 and "'mine.mp4'" in answer.json()["error"]


def test_similar_to_a_second_of_a_film_is_not_the_film_there(client: TestClient) -> None:
    media = client.get("/api/media").json()
    assert media["total"] == len(media["media"]) == 4
    film = next(item for item in media["media"] if item["kind"] == "video")
    said = client.get(f"/api/media/{film['media_id']}/similar", params={"t": 0.5, "kind": "image", "k": 1}).json()
    assert said["results"][0]["path"].endswith("red.png")


def test_the_bare_address_tells_what_there_is(client: TestClient) -> None:
    told = client.get("/").json()
    assert told["name"] == "Second Sight" and told["version"]
    there = {route.path for route in client.app.routes} - {"/", "/api/{other:path}"}
    assert set(told["addresses"]) == there and {told["openapi"], told["health"]} <= there
    documented = (Path(api.__file__).parents[1] / told["docs"]).read_text("utf-8")
    for address in there:
        assert address.replace("{media_id}", "ID") in documented, address


def test_the_openapi_document_is_what_is_answered(client: TestClient) -> None:
    """Every address, every parameter with bounds is read and held to them, and an answer has what its schema asks."""
    document = client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1") and document["info"]["version"]
    assert set(document["paths"]) == {route.path for route in client.app.routes} - {"/api/{other:path}"}
    beside = TestClient(Starlette(routes=[*api.routes(), *routes.routes()]), base_url=HERE)  # as the page has them
    told = set(beside.get("/api/openapi.json").json()["paths"])
    assert told == {route.path for route in beside.app.routes} - {"/api/{other:path}"} == set(document["paths"]) - {
        "/", "/health",
    }  # fmt: skip
    media = client.get("/api/media").json()["media"]
    film = next(item["media_id"] for item in media if item["kind"] == "video")
    asked, held_to = {"/api/search": "q=red&", "/api/ask": f"q=red&media={film}&"}, set()
    for path, methods in document["paths"].items():
        address = path.replace("{media_id}", film)
        for parameter in methods["get"]["parameters"]:
            schema, name = parameter["schema"], parameter["name"]
            if name == "media_id" or not {"minimum", "pattern", "items", "enum"} & set(schema) or name == "mode":
                continue
            other = "t=1&" if "similar" in path and name != "t" else ""
            wrong = client.get(f"{address}?{asked.get(path, '')}{other}{name}=-7")
            assert wrong.status_code == 400 and wrong.json()["error"], (path, name)
            held_to.add(name)
    assert {"k", "kind", "t", "box", "color", "from", "to", "limit", "offset", "side"} == held_to
    schemas = document["components"]["schemas"]
    said = client.get("/api/search?q=red&k=2").json()
    assert set(schemas["Moments"]["required"]) == set(schemas["Moments"]["properties"]) == set(said)
    for one in said["results"]:
        assert set(schemas["Moment"]["required"]) <= set(one) <= set(schemas["Moment"]["properties"])


def test_health_is_that_of_the_library(client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert client.get("/health").json() == {"ok": True, "media": 4}
    monkeypatch.setenv("SECONDSIGHT_LIBRARY", str(tmp_path / "none"))
    answer = client.get("/health")
    assert answer.status_code == 503 and "index PATH" in answer.json()["error"]


def test_the_library_and_a_medium_are_told(client: TestClient) -> None:
    facts = client.get("/api/library").json()
    assert facts["media"] == {"image": 2, "gif": 1, "video": 1} and facts["profile"] == "lite"
    film = next(item for item in client.get("/api/media").json()["media"] if item["kind"] == "video")
    told = client.get(f"/api/media/{film['media_id']}").json()
    assert told["duration_s"] == pytest.approx(8.0, abs=0.1)
    assert [round(one["start_s"]) for one in told["segments"]] == [0, 2, 4, 6] and told["texts"] == []


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/api/search", 400, "Nothing to search for"),
        ("/api/search?q=red&k=0", 400, "k=0"),
        ("/api/search?q=red&k=nan", 400, "k=nan"),
        ("/api/search?q=red&kind=song", 400, "song"),
        ("/api/search?q=image:/etc/hostname", 400, ""),
        ("/api/media/0000", 404, "no such medium"),
        ("/api/media?limit=100000", 400, "limit"),
        ("/api/nothing", 404, "/api/nothing"),
        ("/api/media/0/1/2", 404, "/api/media/0/1/2"),
        ("/nowhere", 404, "Not Found"),
        ("/still/0000", 404, "no such medium"),
    ],
)
def test_mistakes_are_one_sentence_and_a_status(client: TestClient, path: str, status: int, says: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"] and "Traceback" not in answer.text


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/ask"), ("DELETE", "/api/search"), ("POST", "/still/00")])
def test_a_wrong_method_is_said_in_the_same_form(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 405 and "GET" in answer.headers["allow"] and answer.json()["error"]
    assert client.head("/api/library").status_code == 200


def test_no_picture_and_too_much_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.post("/api/search", files={"image": ("a.png", io.BytesIO(b"no picture"))}).status_code == 415
    monkeypatch.setattr(api, "MAX_BODY_BYTES", 10_000)
    assert client.post("/api/search", files={"image": ("a.png", io.BytesIO(bytes(20_000)))}).status_code == 413
    assert client.post("/api/search", json={"q": "red"}).status_code == 415


def test_pages_of_other_sites_may_not_ask(client: TestClient) -> None:
    ask = {"q": "red", "k": 1}
    assert client.get("/api/search", params=ask, headers={"Host": "rebound.example"}).status_code == 403
    assert client.get("/api/search", params=ask, headers={"Origin": "https://other.example"}).status_code == 403
    assert client.get("/api/search", params=ask, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.get("/still/00", headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert client.get("/still/00", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 404
    assert client.get("/api/search", params=ask, headers={"Origin": HERE}).status_code == 200


def test_with_a_key_nothing_is_had_without_it(page_library: Shelf) -> None:
    client = TestClient(api.application("sesame"), base_url=HERE)
    for path in ("/", "/health", "/api/library", "/api/search?q=red", "/still/00", "/nowhere"):
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers={"Authorization": "Bearer sesam"}).status_code == 401, path
    assert client.get("/api/library", headers={"Authorization": "Bearer sesame"}).status_code == 200


def test_the_command_serves_and_will_not_show_a_library_to_the_network(shelf: Shelf) -> None:
    open_ = run("serve", "--host", "0.0.0.0", "--library", shelf.library)
    assert open_.returncode == 2 and "SECONDSIGHT_API_KEY" in open_.stderr
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", str(port), "--library", str(shelf.library)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SECONDSIGHT_API_KEY": ""},
    )
    try:
        for _ in range(300):
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/api/search", params={"q": "green", "k": 1}, timeout=60)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        assert answer.status_code == 200 and answer.json()["results"]
    finally:
        process.terminate()
        _, said = process.communicate(timeout=10)
    assert len(said.splitlines()) == 1 and "The API is at" in said, "no library of others speaks here"


@pytest.fixture(autouse=True)
def _our_names() -> None:
    routes.allow_hosts(routes.OUR_NAMES)

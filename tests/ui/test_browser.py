"""In a real browser: search, open, and stand on the second, twice in a row, in a file over 200 MB."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ui.conftest import BIG_BYTES, COMMAND, Shelf

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (secondsight[dev])")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")

QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
QUIET += "--disable-component-update --disable-sync"


@pytest.fixture(scope="module")
def server(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("server") / "log").open("w+")
    arguments = ["ui", "--no-browser", "--port", str(port), "--library", str(shelf.library)]
    process = subprocess.Popen([*COMMAND, *arguments], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=2)
                break
            except OSError:
                assert process.poll() is None, Path(log.name).read_text()
                time.sleep(0.25)
        yield url
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=BROWSER, args=QUIET.split())
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, server: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.elsewhere = []
    page.on("request", lambda r: None if r.url.startswith((server, "data:", "blob:")) else page.elsewhere.append(r.url))
    page.goto(server)
    page.wait_for_selector(".card img")
    yield page
    context.close()


def stands_at(page: Any) -> float:
    """The second of the video element once it has data there."""
    video = page.locator(".player video")
    for _ in range(200):
        if video.evaluate("video => video.readyState >= 2 && !video.seeking && video.currentTime > 0"):
            break
        page.wait_for_timeout(50)
    return page.locator(".player video").evaluate("video => video.currentTime")


def test_enter_searches_and_a_click_stands_on_the_second_twice(page: Any, shelf: Shelf) -> None:
    assert os.path.getsize(shelf.media / "film.mp4") == BIG_BYTES
    question = page.get_by_placeholder("What are you looking for")
    question.fill("something blue")
    question.press("Enter")
    page.wait_for_selector(".card .score")  # the results have taken the place of what was there
    cards = page.locator(".card", has=page.locator(".name", has_text="film.mp4"))
    seen = []
    for index in (0, 1, 0):
        shown = cards.nth(index).locator(".second").inner_text()
        minutes, seconds = shown.split(":")
        cards.nth(index).locator(".thumb").click()
        page.wait_for_selector(f"text=/^{shown} in/", timeout=20_000)
        page.wait_for_timeout(500)
        at_s = stands_at(page)
        assert at_s == pytest.approx(int(minutes) * 60 + float(seconds), abs=0.06)
        seen.append(at_s)
    assert seen[0] != seen[1]
    assert page.elsewhere == []  # nothing is asked of any other machine

    # The same card again, after the person wandered off: it seeks again.
    page.locator(".player video").evaluate("video => { video.currentTime = 7.5 }")
    cards.nth(0).locator(".thumb").click()
    page.wait_for_timeout(1000)
    assert stands_at(page) == pytest.approx(seen[0], abs=0.001)


def test_a_gif_is_played_from_its_second_and_its_frame_finds_the_like(page: Any) -> None:
    page.locator(".card", has=page.locator(".name", has_text="blink.gif")).locator(".thumb").click()
    page.wait_for_function("() => document.body.innerText.includes('gif, 48')")
    stands_at(page)
    page.locator(".player .timeline").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    assert stands_at(page) == pytest.approx(1.0, abs=0.05)
    page.locator(".player .similar").click()
    page.wait_for_selector("text=/Looks like/")
    page.wait_for_selector("text=/results? in/")
    assert page.locator(".card").count() >= 1


def test_names_are_shown_as_text(page: Any) -> None:
    assert page.locator(".card .name", has_text="odd [bold]name[red]").count() == 1

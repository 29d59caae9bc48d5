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


def test_by_keyboard_alone_and_by_a_copied_address(page: Any, server: str) -> None:
    """/ to the question, down to the results, along them, Enter opens, Escape closes; the address opens it again."""
    page.keyboard.press("/")
    page.keyboard.type("something blue")
    page.keyboard.press("Enter")
    page.wait_for_selector(".card .score")
    page.wait_for_timeout(500)
    focused = (
        "() => { const host = document.activeElement; return (host.shadowRoot ?? document).activeElement?.ariaLabel }"
    )
    labels = page.locator(".card .thumb").evaluate_all("all => all.map(one => one.ariaLabel)")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == labels[0]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == labels[1]
    page.keyboard.press("ArrowLeft")
    film = next(place for place, label in enumerate(labels) if "film.mp4" in label)
    for _ in range(film):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector(".player video")
    page.wait_for_url("**open=*")
    at_s, address = stands_at(page), page.url
    page.locator(".player .after").click()
    page.wait_for_timeout(500)
    assert stands_at(page) != at_s, "another result of the same film"
    page.goto(server)
    page.goto(address)
    page.wait_for_selector(".card.open")
    assert "something+blue" in page.url or "something%20blue" in page.url
    assert stands_at(page) == pytest.approx(at_s, abs=0.06)
    page.keyboard.press("Escape")
    page.wait_for_selector(".player video", state="detached")
    assert "open=" not in page.url


CONTRAST = """(element) => {
  const parse = (color) => {
    const n = color.match(/[\\d.]+/g).map(Number);
    return color.startsWith("color(") ? [...n.slice(0, 3).map((p) => p * 255), n[3] ?? 1] : [...n, 1].slice(0, 4);
  };
  const over = (top, under) => top.slice(0, 3).map((part, i) => part * top[3] + under[i] * (1 - top[3]));
  const layers = [];
  for (let at = element; at; at = at.parentElement ?? at.getRootNode().host) {
    layers.push(parse(getComputedStyle(at).backgroundColor));
  }
  const behind = layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  const linear = (part) => (part <= .03928 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
  const light = (rgb) => rgb.map((part, i) => [.2126, .7152, .0722][i] * linear(part / 255)).reduce((a, b) => a + b);
  const text = over(parse(getComputedStyle(element).color), behind);
  const [a, b] = [light(text), light(behind)].sort((x, y) => y - x);
  return (a + .05) / (b + .05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_small_text_can_be_read(browser: Any, server: str, scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 : 1 for text of this size."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{server}/?q=something+blue")
    page.wait_for_selector(".card .score")
    for shown in (".card .name", ".card .stretch", ".card .score", ".card .like", "[data-testid=stCaptionContainer] p",
                  "[data-testid=stBaseButton-primary] p", "[data-testid=stTextInput] input"):  # fmt: skip
        assert page.locator(shown).first.evaluate(CONTRAST) >= 4.5, shown
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    context.close()


def test_the_library_fits_a_phone(browser: Any, server: str) -> None:
    """Every fact of every file is read without a table that is cut at the edge; on a wide screen the table is back."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{server}/library")
    film = page.get_by_text("video · 00:08.0 · ")
    film.wait_for()
    box = film.bounding_box()
    assert (
        box["x"] >= 0
        and box["x"] + box["width"] <= 390
        and not page.locator("[data-testid=stDataFrame]:visible").count()
    )
    assert page.get_by_text("is named like a video").is_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    page.set_viewport_size({"width": 1280, "height": 900})
    page.locator("[data-testid=stDataFrame]:visible").first.wait_for()
    assert not film.is_visible()
    context.close()


def test_names_are_shown_as_text(page: Any) -> None:
    assert page.locator(".card .name", has_text="odd [bold]name[red]").count() == 1

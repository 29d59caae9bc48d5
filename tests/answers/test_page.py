"""The ask page without a browser: answers, quotes, sources that open at their second, and hostile text."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from tests.models_server.fake import FakeServer
from ui import api
from ui.app import held, routes
from ui.talking import remedies

MAIN = str(Path(routes.__file__).with_name("main.py"))


def ask(question: str) -> AppTest:
    held._models_of.cache_clear()
    page = AppTest.from_file(MAIN, default_timeout=60).run().switch_page("views/ask.py").run()
    assert not page.exception
    page.text_input(key="asked_question").set_value(question).run()
    assert not page.exception
    return page


def texts(page: AppTest) -> str:
    return "\n".join(
        str(element.value)
        for kind in (page.markdown, page.caption, page.info, page.warning, page.error)
        for element in kind
    )


def test_quotes_open_at_their_second(here: Path) -> None:
    page = ask("what did he say about the price?")
    assert "Said: “The price of the blue boat is ninety dollars\\.”" in texts(page)
    (spot,) = page.session_state.asked_spots
    assert (spot.item.path.name, spot.peak_s) == ("film.mp4", 4.2)
    next(button for button in page.button if button.label == "00:04.2").click().run()
    assert not page.exception and page.session_state.asked_open == spot and "**00:04.2** in" in texts(page)
    page.button(key="asked_close").click().run()
    assert page.session_state.asked_open is None


def test_a_model_answers(here: Path, fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = "Ninety dollars. **[click](http://bad.example)** <img src=x>"
    cited = [{"clip": 1, "start": 4.2, "end": 5.0}]
    fake.answer = lambda _: json.dumps({"answered": True, "answer": answer, "citations": cited})
    monkeypatch.setenv("SECONDSIGHT_MODELS", f"server:{fake.url}")
    page = ask("what is the price of the blue boat?")
    said = texts(page)
    assert "Ninety dollars" in said and "Written by a model" in said
    assert r"\[click\]\(http" in said and r"\<img" in said, "shown as it is, never as markup"
    (spot,) = page.session_state.asked_spots
    assert spot.peak_s == pytest.approx(4.2)
    paid = fake.counts["/chat/completions"]
    page.run()
    assert fake.counts["/chat/completions"] == paid, "drawn again, not asked again"
    fake.answer = lambda _: json.dumps({"answered": False, "answer": "They do not tell.", "citations": []})
    page.text_input(key="asked_question").set_value("who is it?").run()
    assert not page.exception and "They do not tell" in page.info[0].value and page.session_state.asked_spots == []


def test_what_goes_wrong_is_one_line(here: Path, fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.missing = ("/chat/completions",)
    monkeypatch.setenv("SECONDSIGHT_MODELS", f"server:{fake.url}")
    page = ask("what is the price?")
    assert not page.error and "Quoted, not put in words by a model\\. The model server" in texts(page).replace(
        ". ", "\\. "
    )
    assert "ninety dollars" in texts(page) and page.session_state.asked_spots, "the page stays of use"


def test_without_a_model_what_is_missing_is_told_with_its_remedy(
    here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library = str(held.settings().library)
    page = ask("plain yellow")
    assert not page.error and page.session_state.asked_spots, "what looks like it is found"
    assert "No language model is set up here" in page.warning[0].value.replace("\\", "")
    told = "\n".join(code.value for code in page.code)
    assert f"SECONDSIGHT_MODELS=server:http://127.0.0.1:8000/v1 secondsight ui --library {library}" in told
    assert f"secondsight index PATH --speech --screen --library {library}" in told
    assert not ask("what did he say about the price?").warning, "an answer needs no remedy"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    commands = [commands for _, commands in remedies(held.settings(), quotable=False)]
    assert [line.splitlines()[0] for line in commands] == [
        "pip install 'secondsight[ocr,speech]'", "pip install 'secondsight[server]'", "pip install 'secondsight[qwen]'",
    ]  # fmt: skip
    assert "secondsight ui" in page.code[1].value


def test_an_empty_library_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECONDSIGHT_LIBRARY", str(tmp_path / "none"))
    page = AppTest.from_file(MAIN, default_timeout=60).run().switch_page("views/ask.py").run()
    assert not page.exception and len(page.error) == 1


def test_the_api_answers_as_the_page_does(here: Path, fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    held._models_of.cache_clear()
    client = TestClient(api.application(), base_url="http://127.0.0.1:8502")
    said = client.get("/api/ask", params={"q": "what did he say about the price?"}).json()
    (source,) = said["sources"]
    assert said["answered"] and not said["by_model"] and source["at_s"] == 4.2 and "ninety" in source["quote"]
    assert client.get(source["still_url"]).headers["content-type"] == "image/jpeg"
    part = {"q": "what did he say about the price?", "media": source["media_id"], "from": 0, "to": 2}
    assert not any(one["quote"] for one in client.get("/api/ask", params=part).json()["sources"])
    cited = [{"clip": 1, "start": 4.2, "end": 5.0}]
    fake.answer = lambda _: json.dumps({"answered": True, "answer": "90", "citations": cited})
    monkeypatch.setenv("SECONDSIGHT_MODELS", f"server:{fake.url}")
    said = client.get("/api/ask", params={"q": "the price?", "media": source["media_id"]}).json()
    assert said["by_model"] and said["text"] == "90" and said["sources"][0]["at_s"] == pytest.approx(4.2)
    for wrong, status in (({"q": ""}, 400), ({"q": "a", "media": "x"}, 404), ({**part, "from": 5}, 400)):
        assert client.get("/api/ask", params=wrong).status_code == status


def test_what_was_asked_is_framed_in_the_picture(here: Path, fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    held._models_of.cache_clear()
    page = AppTest.from_file(MAIN, default_timeout=60).run()
    page.text_input(key="q").set_value("red").run()
    page.session_state.open = page.session_state.spots[0]
    page.run()
    assert not page.exception and "Show where" not in [button.label for button in page.button], "lite cannot"
    fake.answer = lambda _: '[{"bbox_2d": [100, 100, 900, 900], "label": "red"}]'
    monkeypatch.setenv("SECONDSIGHT_MODELS", f"server:{fake.url}")
    page.run()
    next(button for button in page.button if button.label == "Show where").click().run()
    assert not page.exception and "1 place of “red”" in texts(page)

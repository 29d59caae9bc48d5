"""The commands end to end: the default models' library, and a model server beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.models_server.fake import FakeServer, colour_caption, words_of
from ui.cli import app


def do(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def do_json(*arguments: object, code: int = 0) -> dict:
    said = do(*arguments, "--json")
    assert said.exit_code == code, said.output
    return json.loads(said.stdout.splitlines()[-1])


def test_lite_says_who_would_do_it(here: Path) -> None:
    for command in (["caption"], ["summarize", here / "media" / "film.mp4"]):
        said = do(*command)
        assert said.exit_code == 1 and said.stdout == ""
        assert re.fullmatch(
            r"Error: The profile 'lite' has no model to [^\n]*server:http://HOST:PORT/v1\.\n", said.stderr
        )


def test_lite_answers_in_quotes(here: Path) -> None:
    answer = do_json("ask", "what did he say about the price?")
    assert answer["answered"] and not answer["by_model"]
    (source,) = answer["sources"]
    assert len(source.pop("media_id")) == 40
    assert source == {
        "path": str(here / "media" / "film.mp4"), "kind": "video",
        "at_s": 4.2, "start_s": 4.2, "end_s": 5.5, "channel": "speech",
        "quote": "The price of the blue boat is ninety dollars.",
    }  # fmt: skip
    said = do("ask", "what did he say about the price?", "--in", here / "media" / "film.mp4", "--at", "0:05")
    assert said.exit_code == 0 and said.stdout.startswith("In the library's own words:")
    assert re.search(r"film\.mp4 at 00:04\.2 \(00:04\.2–00:05\.5\), said: “The price", said.stdout)
    nothing = do("ask", "what did he say about the price?", "--in", here / "media" / "film.mp4", "--to", "2")
    assert nothing.exit_code == 0 and "said:" not in nothing.stdout


def test_ask_is_told_where_it_is_wrong(here: Path) -> None:
    film = here / "media" / "film.mp4"
    for wrong, words in (
        (["--at", "5"], "no file"),
        (["--in", film, "--at", "5", "--to", "6"], "--at was given with"),
        (["--in", film, "--from", "x"], "'x' is not a time"),
        (["--in", film, "--from", "7", "--to", "6"], "no stretch"),
        (["--language", "fr"], "caption_language"),
    ):
        said = do("ask", "what?", *wrong)
        assert said.exit_code == 2 and words in said.stderr and said.stderr.count("\n") == 1
    assert do("ask", "what?", "--in", here / "none.mp4").exit_code == 2


def answers(body: dict) -> str:
    """A server that captions by colour, and for the rest says what it is asked for."""
    said = words_of(body)
    if "Question:" in said:
        cited = [{"clip": 1, "start": 4.2, "end": 5.0}]
        return json.dumps({"answered": True, "answer": "Ninety \x1b[31mdollars.", "citations": cited})
    if '"chapters"' in said:
        times = [float(t) for t in re.findall(r"^\[(\d+\.\d) s\]", said, re.MULTILINE)]
        rows = [{"start": t, "title": f"Part | {t:.0f}", "text": "It is <b>shown</b>."} for t in (0.0, times[-1])]
        return json.dumps({"chapters": rows})
    if "summary" in body["messages"][0]["content"]:
        return json.dumps({"title": "Colours", "text": "Red, green, blue, yellow."})
    return colour_caption(body)


def test_a_server_beside_a_lite_library(here: Path, fake: FakeServer) -> None:
    fake.answer = answers
    film, models = here / "media" / "film.mp4", f"server:{fake.url}"
    answer = do_json("ask", "what", "is", "the", "price?", "--in", film, "--models", models)
    assert answer["answered"] and answer["by_model"] and answer["shown"] == 1
    assert (answer["sources"][0]["start_s"], answer["sources"][0]["end_s"]) == (4.2, 5.0)
    said = do("ask", "what is the price?", "--in", film, "--models", models)
    assert "dollars." in said.stdout and "\x1b" not in said.stdout and "film.mp4 at 00:04.2" in said.stdout

    summary = do_json("summarize", film, "--models", models)
    assert summary["title"] == "Colours" and summary["chapters"][0]["start_s"] == 0
    assert summary["chapters"][-1]["end_s"] == summary["duration_s"] == pytest.approx(8.0, abs=0.1)
    paid = fake.counts["/chat/completions"]
    page = do("summarize", film, "--models", models)
    assert page.exit_code == 0 and fake.counts["/chat/completions"] == paid, "captions and summary are kept"
    lines = page.stdout.splitlines()
    assert lines[0] == "# Colours" and "| from | to | chapter | what happens |" in lines
    assert r"Part \| 0" in page.stdout and r"\<b\>" in page.stdout

    described = do_json("caption", "--models", models)
    assert (described["media"], described["unchanged"], described["failed_clips"]) == (2, 1, 0)
    found = do_json("search", "the screen is blue", "--kind", "video")
    assert any(e["channel"] == "caption" for e in found["results"][0]["evidence"])
    assert 4.0 <= found["results"][0]["peak_s"] < 6.0
    fake.answer = lambda _: "I will not"
    failed = do("caption", "--models", models, "--language", "zh")
    assert failed.exit_code == 3 and "failed" in failed.stdout


def test_a_server_that_is_not_there(here: Path) -> None:
    said = do("ask", "what?", "--models", "server:http://127.0.0.1:9/v1")
    assert said.exit_code == 1 and said.stderr.startswith("Error: The model server at http://127.0.0.1:9/v1")
    assert said.stderr.count("\n") == 1


def test_a_library_made_through_a_server(
    here: Path, fake: FakeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Index, search with the second look, ask: all by the server that the library remembers."""
    fake.answer = answers
    library = tmp_path / "library"
    report = do_json("index", here / "media", "--models", f"server:{fake.url}", "--library", library)
    assert report["indexed"] == 3 and not report["warnings"] and report["texts"] > 8
    described = fake.counts["/chat/completions"]
    found = do_json("search", "a", "yellow", "picture", "--library", library)
    looked = [body for body in fake.bodies("/chat/completions")[described:] if body.get("logprobs")]
    assert looked, "the best are shown to the model once more"
    assert any(e["channel"] == "rerank" and e["score"] > 0.9 for e in found["results"][0]["evidence"])
    answer = do_json("ask", "what is the price?", "--in", here / "media" / "film.mp4", "--library", library)
    assert answer["by_model"] and answer["answered"]
    again = do_json("index", here / "media", "--models", f"server:{fake.url}", "--library", library)
    assert again["indexed"] == 0 and again["unchanged"] == 3
    checks = {check["name"]: check for check in do_json("doctor", "--library", library)["checks"]}
    assert checks["model server"]["state"] == "ok" and "fake-vl" in checks["model server"]["detail"]
    fake.missing = ("/chat/completions", "/models")
    checks = {check["name"]: check for check in do_json("doctor", "--library", library)["checks"]}
    assert checks["model server"]["state"] == "warn"
    lost = do_json("search", "a yellow picture", "--library", library)
    assert lost["results"] and "had no second look" in caplog.text, "a search is worth more than its second look"


def test_where_points_at_what_the_words_name(here: Path, fake: FakeServer, tmp_path: Path) -> None:
    from PIL import Image

    picture, drawn = here / "media" / "red.png", tmp_path / "drawn.jpg"
    with Image.open(picture) as image:
        width, height = image.size
    fake.answer = lambda _: '[{"bbox_2d": [0, 500, 500, 1000], "label": "a car"}]'
    told = do_json("where", "a car", picture, "--models", f"server:{fake.url}", "--save", drawn)
    assert told["boxes"] == [[0, height // 2, width // 2, height // 2]] and told["width"] == width
    with Image.open(drawn) as image:
        assert image.size == (width, height) and image.getpixel((1, height - 2))[1] > 40  # the frame, on red
        assert image.getpixel((width - 3, 2))[1] < 40
    fake.answer = lambda _: "[]"
    said = do("where", "a boat", picture, "--models", f"server:{fake.url}")
    assert said.exit_code == 0 and said.stdout == "" and "not in this picture" in said.stderr
    said = do("where", "a boat", picture)
    assert said.exit_code == 1 and "no model to point at things" in said.stderr

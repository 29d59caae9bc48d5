"""The commands as people and scripts meet them: answers, shapes of the JSON, exit codes, one line per error."""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from tests.conftest import write_video
from tests.ui.conftest import COMMAND, Shelf, run
from ui.cli import app


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def ask_json(*arguments: object) -> dict[str, object]:
    said = ask(*arguments, "--json")
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout.splitlines()[-1])  # `index` tells its progress in lines before


def test_help_is_instant() -> None:
    """Beside the floor in the same run: a Python that only imports typer."""

    def seconds(*arguments: str) -> float:
        started = time.perf_counter()
        subprocess.run([*arguments], capture_output=True, check=True)
        return time.perf_counter() - started

    floor = [sys.executable, "-c", "import typer"]
    rounds = [(seconds(*COMMAND, "--help"), seconds(*floor)) for _ in range(5)]
    assert statistics.median(ours for ours, _ in rounds) < 2.5 * statistics.median(bare for _, bare in rounds)


def test_help_imports_nothing_heavy() -> None:
    heavy = ("numpy", "av", "PIL", "lancedb", "pyarrow", "onnxruntime", "streamlit", "pydantic", "rich")
    code = f"import sys, ui.cli; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_index_reports(shelf: Shelf) -> None:
    assert shelf.said.returncode == 3, shelf.said.stderr
    report = shelf.report
    told = {"indexed", "unchanged", "moved", "removed", "failed", "warnings", "texts", "told", "interrupted", "ignored"}
    assert set(report) == {*told, "seconds", "not_retried", "event"} and report["event"] == "report"
    assert (report["indexed"], report["unchanged"], report["ignored"]) == (4, 0, {".txt": 1})
    (failure,) = report["failed"]
    assert failure["path"] == str(shelf.media / "fake.mp4") and failure["reason"]
    assert shelf.said.stderr == ""


def test_index_tells_where_it_stands_in_lines_of_json(shelf: Shelf) -> None:
    *events, report = map(json.loads, shelf.said.stdout.splitlines())
    assert events and all(event["event"] == "progress" for event in events) and report["event"] == "report"
    last = events[-1]
    assert last["stage"] == "done" and last["done_files"] == last["total_files"] == 5
    assert (
        last["done_bytes"]
        == last["total_bytes"]
        == sum(path.stat().st_size for path in shelf.media.iterdir() if path.suffix != ".txt")
    )
    assert last["media_s"] == pytest.approx(9.5, abs=0.2)
    assert set(last["rates"]) == {"bytes", "media_s", "rows", "pictures"}
    assert set(last["busy"]) == {"decode", "embed", "write"}
    assert all(0 <= share <= 1 for share in last["busy"].values())


def test_globs_and_lists(shelf: Shelf, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text(f"# two of them\n{shelf.media / 'red.png'}\n\n{shelf.media}/*.gif\n", encoding="utf-8")
    library = tmp_path / "library"
    assert ask_json("index", f"@{names}", "--library", library)["indexed"] == 2
    assert ask_json("index", shelf.media / "*.p?g", "--library", library)["unchanged"] >= 1
    said = ask("index", tmp_path / "*.nothing", "--library", library)
    assert said.exit_code == 2 and "matches no file" in said.stderr
    said = ask("index", f"@{tmp_path / 'none.txt'}", "--library", library)
    assert said.exit_code == 2 and "none.txt" in said.stderr


def test_fast_then_in_full(shelf: Shelf, tmp_path: Path) -> None:
    library, film = tmp_path / "library", shelf.media / "film.mp4"
    frames = []
    for options, indexed in ((["--fast"], 1), (["--fast"], 0), ([], 1), ([], 0), (["--fast"], 0)):
        assert ask_json("index", film, *options, "--library", library)["indexed"] == indexed, options
        frames.append(ask_json("info", "--library", library)["frames"])
    assert 0 < frames[0] == frames[1] < frames[2] == frames[3] == frames[4]


def test_chapters(shelf: Shelf) -> None:
    film = shelf.media / "film.mp4"
    told = ask_json("chapters", film, "--library", shelf.library)
    assert told["path"] == str(film)
    assert [round(one["start_s"]) for one in told["chapters"]] == [0, 2, 4, 6]
    assert told["chapters"][-1]["end_s"] == pytest.approx(told["duration_s"])
    table = ask("chapters", film, "--library", shelf.library).stdout
    assert "00:02.0" in table and len(table.splitlines()) >= 4
    vtt = ask("chapters", film, "--vtt", "--library", shelf.library).stdout
    assert vtt.startswith("WEBVTT\n\n1\n00:00:00.000 --> 00:00:02.000\n")
    said = ask("chapters", shelf.media / "red.png", "--library", shelf.library)
    assert said.exit_code == 2 and "no shots" in said.stderr
    said = ask("chapters", shelf.media / "notes.txt", "--library", shelf.library)
    assert said.exit_code == 2 and "secondsight index" in said.stderr


def test_a_second_run_does_nothing_and_says_so(shelf: Shelf) -> None:
    said = ask("index", shelf.media / "red.png", shelf.media / "film.mp4", "--library", shelf.library)
    assert said.exit_code == 0
    assert said.stdout.startswith("Nothing to do: 0 files indexed, 2 unchanged")


def test_failures_stand_at_the_end_with_reasons(shelf: Shelf) -> None:
    said = ask("index", shelf.media, "--library", shelf.library)
    assert said.exit_code == 3
    assert said.stdout.rstrip().splitlines()[-2] == "Failed (1):"
    assert "fake.mp4" in said.stdout.rstrip().splitlines()[-1]


def test_search_json(shelf: Shelf) -> None:
    answer = ask_json("search", "a", "plain", "red", "picture", "-k", 5, "--library", shelf.library)
    assert set(answer) == {"query", "no_match", "matches", "without", "timing_ms", "results"}
    assert answer["query"] == "a plain red picture" and isinstance(answer["no_match"], bool)
    assert [result["rank"] for result in answer["results"]] == [1, 2, 3, 4, 5]
    for result in answer["results"]:
        assert set(result) == {"rank", "path", "kind", "start_s", "peak_s", "end_s", "score", "evidence", "same"}
        assert Path(result["path"]).is_absolute() and Path(result["path"]).exists()
        assert result["evidence"][0]["channel"]
        if result["kind"] == "image":
            assert result["start_s"] is result["peak_s"] is result["end_s"] is None
        else:
            assert 0 <= result["start_s"] <= result["peak_s"] < result["end_s"]


def test_similar_lands_in_the_right_stretch(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.media / "film.mp4"
    answer = ask_json("similar", shelf.media / "red.png", "--kind", "video", "--library", shelf.library)
    assert answer["results"][0]["path"] == str(film)
    assert 0 <= answer["results"][0]["peak_s"] < 2  # red is there from 0 to 2 s
    answer = ask_json("search", "--image", f"{film}@0:07", "--kind", "image", "--library", shelf.library)
    assert "odd" in answer["results"][0]["path"]  # the yellow picture, asked by the film's yellow second
    answer = ask_json("similar", f"{film}@1.0", "--box", "0,0,40,40", "--kind", "image", "--library", shelf.library)
    assert answer["results"][0]["path"] == str(shelf.media / "red.png")


def test_search_table(shelf: Shelf) -> None:
    said = ask("search", "--image", shelf.media / "red.png", "--kind", "video", "-k", 1, "--library", shelf.library)
    assert said.exit_code == 0
    assert "film.mp4" in said.stdout and "00:00.0–00:0" in said.stdout


def test_no_match_is_said_and_the_nearest_listed(shelf: Shelf) -> None:
    words = "quarterly tax forms signed by two lawyers"
    answer = ask_json("search", words, "--library", shelf.library)
    assert answer["no_match"] is True and answer["results"]
    said = ask("search", words, "--library", shelf.library)
    assert said.exit_code == 0
    assert said.stdout.startswith("Nothing in this library seems to match") and "film.mp4" in said.stdout


def test_the_condition_that_left_nothing_is_named(shelf: Shelf) -> None:
    """Of the four colours of the film, kept from matching by a condition that is false of it."""
    question = "a plain red picture kind:gif duration>5"
    answer = ask_json("search", question, "--library", shelf.library)
    assert answer["no_match"] is True
    first, *_ = answer["without"]
    assert first["limit"] in question and first["limit"] not in first["query"] and first["matches"] >= 1
    said = ask("search", question, "--library", shelf.library).stdout
    assert f"without {first['limit']}" in said and "info FILE" not in said
    assert ask_json("search", first["query"], "--library", shelf.library)["no_match"] is False
    assert ask_json("search", "a plain red picture", "--library", shelf.library)["without"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["search", "x", "--kind", "sound"], 2, "'sound'"),
        (["search"], 2, "Nothing to search for"),
        (["search", "x", "-k", "0"], 2, "'-k'"),
        (["similar", "a.mp4@soon"], 2, "'soon'"),
        (["similar", "a.mp4", "--box", "1,2,3"], 2, "'1,2,3'"),
        (["index"], 2, "PATH"),
        (["no-such-command"], 2, "no-such-command"),
        (["models", "pull", "nonsense"], 1, "nonsense"),
    ],
)
def test_errors_are_one_line(
    shelf: Shelf, arguments: list[str], code: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDSIGHT_LIBRARY", str(shelf.library))
    said = ask(*arguments)
    assert said.exit_code == code, said.output
    assert says in said.stderr and said.stdout == ""
    assert "Traceback" not in said.stderr
    assert [line.startswith("Error: ") for line in said.stderr.strip().splitlines()][-1]


NOWHERE = "/nowhere/a.mp4"


@pytest.mark.parametrize(
    "arguments",
    [
        ["index", "/nowhere/*.mp4"],
        ["index", "@/nowhere/list.txt"],
        ["index", ".", "--metadata", "/nowhere/table.csv"],
        ["search", "--image", NOWHERE],
        ["search", f"image:{NOWHERE}"],
        ["similar", NOWHERE],
        ["where", "a dog", NOWHERE],
        ["chapters", NOWHERE],
        ["summarize", NOWHERE],
        ["ask", "who is it?", "--in", NOWHERE],
        ["info", NOWHERE],
        ["remove", NOWHERE],
        ["feedback", "add", "a dog", NOWHERE, "--bad"],
        ["eval", "/nowhere/queries.csv"],
        ["metadata", "/nowhere/table.csv"],
        ["models", "add", "/nowhere/file.whl"],
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_file_that_is_not_there_ends_every_command_alike(shelf: Shelf, arguments: list[str], form: list[str]) -> None:
    """Exit code 2 and one line that quotes it, in either form. Only `index FILE` goes on with the others: see below."""
    said = ask(*arguments, *form, "--library", shelf.library)
    assert (said.exit_code, said.stdout) == (2, ""), said.output
    (line,) = said.stderr.splitlines()
    assert "/nowhere/" in (json.loads(line)["error"] if form else line.removeprefix("Error: ")) and len(line) > 20


def test_a_file_that_is_not_there_does_not_stop_the_others(shelf: Shelf) -> None:
    said = ask("index", NOWHERE, shelf.media / "red.png", "--library", shelf.library)
    assert said.exit_code == 3 and NOWHERE in said.stdout and "1 unchanged" in said.stdout


def commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


def test_every_command_takes_a_library_and_answers_in_json() -> None:
    found = dict(commands(typer.main.get_command(app)))
    assert len(found) > 20
    for name, command in found.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--library", "--json"} <= options, name


def test_no_library(tmp_path: Path) -> None:
    said = ask("search", "x", "--library", tmp_path / "none", "--json")
    assert said.exit_code == 1 and said.stdout == ""
    assert "index" in json.loads(said.stderr)["error"]


def test_a_defect_leaves_one_line_and_a_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shelf: Shelf) -> None:
    import platformdirs

    import ui.commands.library as commands

    def broken(*_: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(commands, "open_library", broken)
    monkeypatch.setattr(platformdirs, "user_log_path", lambda *_, **__: tmp_path / "log")
    said = ask("info", "--library", shelf.library)
    assert said.exit_code == 70
    (line,) = said.stderr.strip().splitlines()
    (log,) = (tmp_path / "log").iterdir()
    assert line.startswith("Error: Unexpected RuntimeError: first line.") and str(log) in line
    assert "Traceback" in log.read_text() and "second line" in log.read_text()


def test_names_cannot_act_on_the_terminal(shelf: Shelf) -> None:
    said = ask("list", "--library", shelf.library)
    assert "\x1b" not in said.stdout and "\u202e" not in said.stdout
    assert "odd [bold]name[red]" in said.stdout  # not taken for markup either


def test_info_list_and_models(shelf: Shelf) -> None:
    info = ask_json("info", "--library", shelf.library)
    assert info["media"] == {"image": 2, "gif": 1, "video": 1} and info["failed"] == 1
    assert info["duration_s"] == pytest.approx(9.5, abs=0.2)
    listed = ask_json("list", "--library", shelf.library)["files"]
    assert len(listed) == 5
    (failed,) = ask_json("list", "--failed", "--library", shelf.library)["files"]
    assert failed["path"].endswith("fake.mp4") and failed["reason"]
    models = ask_json("models", "list")
    assert any(profile["name"] == "lite" and profile["default"] for profile in models["profiles"])
    assert all(weights["licence"] and len(weights["sha256"]) == 64 for weights in models["weights"])


def test_doctor(shelf: Shelf, tmp_path: Path) -> None:
    report = ask_json("doctor", "--library", shelf.library)
    states = {check["name"]: check["state"] for check in report["checks"]}
    assert report["ok"] and states["python"] == states["decoders"] == "ok"
    damaged = tmp_path / "library"
    damaged.mkdir()
    (damaged / "library.json").write_text("{")
    said = ask("doctor", "--library", damaged)
    assert said.exit_code == 1 and "fail" in said.stdout


def test_doctor_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    from ui.commands import doctor

    wanted = ["numpy>=1", "left-pad>=1; extra == 'speech'", "numpy>=999; extra == 'heic'"]
    monkeypatch.setattr(metadata, "requires", lambda _: wanted)
    checks = {check.name: check for check in doctor._packages()}
    assert checks["packages"].state == "ok"
    assert checks["speech"].state == checks["heic"].state == "missing"
    assert "secondsight[speech]" in checks["speech"].remedy and "wanted >=999" in checks["heic"].detail


def test_doctor_does_not_alarm_about_what_is_optional(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A healthy installation without extras, nor a library: nothing warns, and what could be added stands apart."""
    import tomllib
    from importlib import metadata

    from ui.commands import doctor

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(project["optional-dependencies"]) - {"test", "dev"} == set(doctor._EXTRAS), "each says what it is for"
    monkeypatch.setattr(metadata, "requires", lambda _: ["numpy>=1", "left-pad>=1; extra == 'speech'"])
    said = ask("doctor", "--library", tmp_path / "none")
    assert said.exit_code == 0
    needed, optional = said.stdout.split("Optional, not installed:")
    assert {line.split()[0] for line in needed.splitlines() if line} == {"ok"}
    assert "speech: index --speech" in optional and "left-pad" not in said.stdout


def terminal(columns: int, monkeypatch: pytest.MonkeyPatch, module: Any) -> Any:
    import io

    from rich.console import Console

    console = Console(file=io.StringIO(), width=columns, highlight=False, emoji=False)
    monkeypatch.setattr(module, "out", lambda: console)
    return console.file


def test_names_and_seconds_stay_whole_in_eighty_columns(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    from ui.commands import library, search

    assert len(str(shelf.media)) > 40
    shown = terminal(80, monkeypatch, search)
    ask("search", "a plain red picture", "--library", shelf.library)
    lines = shown.getvalue().splitlines()[1:]
    assert all(len(line) <= 80 for line in lines) and "the same in red.png" in lines[0], shown.getvalue()
    assert any(re.search(r"/film\.mp4 +00:0\d\.\d ", line) for line in lines)
    shown = terminal(80, monkeypatch, library)
    ask("list", "--library", shelf.library)
    assert any(
        line.startswith("video") and line.rstrip().endswith("/film.mp4") for line in shown.getvalue().splitlines()
    )


def test_in_a_pipe_a_result_is_a_line_with_its_whole_path(shelf: Shelf) -> None:
    said = ask("search", "a plain red picture", "-k", 3, "--library", shelf.library).stdout.splitlines()
    assert sum(str(shelf.media) in line for line in said) == 3


def test_words_come_from_standard_input(shelf: Shelf) -> None:
    arguments = ["search", "-", "--library", str(shelf.library), "--json"]
    said = CliRunner().invoke(app, arguments, input="a plain\nred picture\n")
    assert json.loads(said.stdout)["query"] == "a plain red picture"


def test_the_shell_completes_commands() -> None:
    asked = {"_SECONDSIGHT_COMPLETE": "complete_bash", "COMP_WORDS": "secondsight se", "COMP_CWORD": "1"}
    said = subprocess.run(COMMAND, env={**os.environ, **asked}, capture_output=True, text=True)
    assert said.stdout.split() == ["search", "serve"]


def test_remove(tmp_path: Path) -> None:
    library, media = tmp_path / "library", tmp_path / "media"
    media.mkdir()
    film = write_video(media / "one.mp4", ["red", "blue"], seconds_each=0.5)
    assert ask_json("index", media, "--library", library)["indexed"] == 1
    assert ask_json("remove", media, "--library", library) == {"removed": 1}
    assert film.exists() and ask_json("list", "--library", library) == {"files": []}


def test_open_starts_a_player_at_the_second(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    player = tmp_path / "mpv"
    player.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{told}.part"; mv "{told}.part" "{told}"\n')
    player.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    said = ask("similar", shelf.media / "red.png", "--kind", "video", "-k", 1, "--open", "--library", shelf.library)
    assert "Opened" in said.stderr
    for _ in range(100):
        if told.exists():
            break
        time.sleep(0.05)
    start, dashes, name = told.read_text().splitlines()
    assert 0 <= float(start.removeprefix("--start=")) < 2 and dashes == "--" and name == str(shelf.media / "film.mp4")


def test_players_without_any(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ui import players

    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install mpv" in players.open_at(tmp_path / "-rf.mp4", 62.5) and players.command(tmp_path, 1.0) == (
        [],
        False,
    )


def write_noise(path: Path, seed: int) -> None:
    """Four seconds of which no picture shows what another does, so that the model has seconds of work."""
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(40):
            picture = np.kron(rng.integers(0, 255, (4, 6, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_keeps_what_is_finished(tmp_path: Path, presses: int) -> None:
    library, media = tmp_path / "library", tmp_path / "media"
    media.mkdir()
    for number in range(3):
        write_noise(media / f"{number}.mp4", number)
    process = subprocess.Popen(
        [*COMMAND, "index", str(media), "--library", str(library)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    for _ in range(600):  # the run has begun once the library is there
        if (library / "library.json").exists():
            break
        time.sleep(0.1)
    time.sleep(0.5)
    for _ in range(presses):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said and "Stopping after the batch in hand" in said
    if presses == 1:
        assert "what was finished is kept; run the same command again to take up" in said
    assert ask_json("info", "--library", library)["media"].get("video", 0) < 3  # a library still, though not whole
    if presses == 1:
        again = ask_json("index", media, "--library", library)
        assert again["indexed"] + again["unchanged"] == 3 and again["failed"] == []
        assert ask_json("info", "--library", library)["media"] == {"video": 3}


def test_a_minus_before_a_word_is_the_querys(shelf: Shelf) -> None:
    for words in ("-red blue", "-5 degrees"):
        said = run("search", words, "-k1", "--library", shelf.library, "--json")
        assert said.returncode == 0 and json.loads(said.stdout)["query"].strip() == words, said.stderr
    assert run("search", "red", "--kinds", "--library", shelf.library).returncode == 2

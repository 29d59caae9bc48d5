"""`index` and `remove` as people and scripts meet them: what is told, what is done again, and stopping half way."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import write_video
from tests.ui.conftest import COMMAND, Shelf, ask, ask_json

NOWHERE = "/nowhere/a.mp4"


def test_index_reports(shelf: Shelf) -> None:
    assert shelf.said.returncode == 3, shelf.said.stderr
    report = shelf.report
    told = {"indexed", "unchanged", "moved", "removed", "failed", "warnings", "texts", "cropped", "told", "ignored"}
    assert set(report) == {*told, "interrupted", "seconds", "not_retried", "event"} and report["event"] == "report"
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


def test_a_second_run_does_nothing_and_says_so(shelf: Shelf) -> None:
    said = ask("index", shelf.media / "red.png", shelf.media / "film.mp4", "--library", shelf.library)
    assert said.exit_code == 0
    assert said.stdout.startswith("Nothing to do: 0 files indexed, 2 unchanged")


def test_parts_looked_at_are_something_done(shelf: Shelf, tmp_path: Path) -> None:
    library, still = tmp_path / "library", shelf.media / "red.png"
    ask("index", still, "--library", library)
    for start, parts in (("0 files indexed, 1 unchanged, parts of 1 looked at", 1), ("Nothing to do", 0)):
        said = ask("index", still, "--crops", "--library", library)
        assert said.exit_code == 0 and said.stdout.startswith(start), (parts, said.stdout)


def test_failures_stand_at_the_end_with_reasons(shelf: Shelf) -> None:
    said = ask("index", shelf.media, "--library", shelf.library)
    assert said.exit_code == 3
    assert said.stdout.rstrip().splitlines()[-2] == "Failed (1):"
    assert "fake.mp4" in said.stdout.rstrip().splitlines()[-1]


def test_a_file_that_is_not_there_does_not_stop_the_others(shelf: Shelf) -> None:
    said = ask("index", NOWHERE, shelf.media / "red.png", "--library", shelf.library)
    assert said.exit_code == 3 and NOWHERE in said.stdout and "1 unchanged" in said.stdout


def test_remove(tmp_path: Path) -> None:
    library, media = tmp_path / "library", tmp_path / "media"
    media.mkdir()
    film = write_video(media / "one.mp4", ["red", "blue"], seconds_each=0.5)
    assert ask_json("index", media, "--library", library)["indexed"] == 1
    assert ask_json("remove", media, "--library", library) == {"removed": 1}
    assert film.exists() and ask_json("list", "--library", library) == {"files": []}


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

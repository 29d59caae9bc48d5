"""How much of what is written in films is read, when, where, and how few pictures are looked at for it.

    python -m benchmarks.screen_text [--films 4] [--seed 0]

Signs in English and Chinese, of three sizes, are drawn over stretches of the sample films at known seconds and places,
two at a time at most, so that truth is exact. A sign counts as read when a span on screen at its time has its letters
(no more than a tenth of them wrong, blanks aside). Beside it: the same with every picture read.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data.media import open_media, probe
from data.settings import load
from data.types import MediaItem, TextSpan
from indexer import read_screen
from indexer.apart import Apart
from models.reading.rapid import RapidReader

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "samples" / "films"
SIZE, RATE, LENGTH_S = (1280, 720), 5, 30
GROUNDS = (("bunny_1.mp4", 40.0), ("clip_1.webm", 0.0), ("clip_3.mp4", 0.0), ("bunny_2.mp4", 50.0))
TEXTS = {
    "English": ("Departures Gate 14", "NO ENTRY", "Fresh bread daily", "Chapter Two: The Storm", "Price 49.90 EUR",
                "Turn left at Main Street", "Breaking news", "Thank you for watching"),
    "Chinese": ("欢迎光临", "第二章 暴风雨", "禁止停车", "今日特价 四十九元", "北京火车站", "安全出口", "谢谢观看",
                "天气预报"),
}  # fmt: skip
HEIGHTS = (24, 36, 56)


@dataclass(frozen=True, slots=True)
class Sign:
    language: str
    text: str
    height: int
    start_s: float
    end_s: float
    place: tuple[int, int]


def font_for(language: str, height: int) -> ImageFont.FreeTypeFont:
    """Raises: SystemExit where no font of the system has the letters."""
    wanted = ("NotoSansCJK", "wqy", "DroidSansFallback", "uming") if language == "Chinese" else ("DejaVuSans.ttf",)
    for folder in (Path("/usr/share/fonts"), Path.home() / ".fonts"):
        for name in wanted:
            for file in sorted(folder.rglob(f"*{name}*")):
                return ImageFont.truetype(str(file), height)
    raise SystemExit(f"No font for {language}; with apt-get: fonts-wqy-microhei, fonts-dejavu-core.")


def signs(seed: int) -> list[Sign]:
    """One lane at the top and one at the bottom, each with one sign after the other."""
    rng = np.random.default_rng(seed)
    out = []
    for lane, top in enumerate((60, 600)):
        at_s = float(rng.integers(0, 4))
        while at_s < LENGTH_S - 3:
            language = ("English", "Chinese")[int(rng.integers(2))]
            text = TEXTS[language][int(rng.integers(8))]
            end_s = at_s + float(rng.integers(2, 7))
            place = (int(rng.integers(40, 500)), top + 10 * lane)
            out.append(Sign(language, text, HEIGHTS[int(rng.integers(3))], at_s, min(end_s, LENGTH_S), place))
            at_s = end_s + float(rng.integers(0, 3))
    return out


def film(path: Path, ground: tuple[str, float], shown: list[Sign]) -> None:
    fonts = {(sign.language, sign.height): font_for(sign.language, sign.height) for sign in shown}
    with open_media(SAMPLES / ground[0]) as source, av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "23"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        end_s = source.info.duration_s or 0.0
        for number in range(LENGTH_S * RATE):
            at_s = (ground[1] + number / RATE) % max(end_s - 0.2, 0.1)
            rgb = source.frame_at(at_s).rgb
            assert rgb is not None
            picture = Image.fromarray(rgb).resize(SIZE)
            draw = ImageDraw.Draw(picture)
            for sign in shown:
                if sign.start_s <= number / RATE < sign.end_s:
                    font = fonts[sign.language, sign.height]
                    draw.text(sign.place, sign.text, fill="white", font=font, stroke_width=2, stroke_fill="black")
            out.mux(stream.encode(av.VideoFrame.from_image(picture)))
        out.mux(stream.encode(None))


def is_read(sign: Sign, spans: list[TextSpan]) -> TextSpan | None:
    wanted = "".join(filter(str.isalnum, sign.text.casefold()))
    middle_s = (sign.start_s + sign.end_s) / 2
    for span in spans:
        found = "".join(filter(str.isalnum, span.text.casefold()))
        there = (span.start_s or 0) - 1 <= middle_s <= (span.end_s or 0) + 1
        if there and SequenceMatcher(None, wanted, found, autojunk=False).ratio() >= 0.9:
            return span
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--films", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    reader = RapidReader(load())
    tested = read_screen._same
    for name in ("changed writing only", "every picture"):
        if name == "every picture":
            read_screen._same = lambda _new, _last: False
        read = {(language, height): [0, 0] for language in TEXTS for height in HEIGHTS}
        off: list[float] = []
        pictures, seen, more, seconds = 0, 0, 0, 0.0
        with tempfile.TemporaryDirectory() as folder, Apart(10**9) as files:
            for number in range(asked.films):
                path, shown = Path(folder) / f"{number}.mp4", signs(asked.seed + number)
                film(path, GROUNDS[number % len(GROUNDS)], shown)
                started_s = time.process_time()
                spans, count = read_screen.written(MediaItem("m", path, probe(path)), reader, files, lambda: False)
                seconds += time.process_time() - started_s
                assert spans is not None
                pictures, seen = pictures + count, seen + LENGTH_S
                used = set()
                for sign in shown:
                    span = is_read(sign, spans)
                    read[sign.language, sign.height][0] += span is not None
                    read[sign.language, sign.height][1] += 1
                    if span is not None and span.start_s is not None and span.end_s is not None:
                        used.add(span)
                        off += [abs(span.start_s - sign.start_s), abs(span.end_s - sign.end_s)]
                more += len(spans) - len(used)
        print(f"{name}: {pictures} of {seen} pictures read, {seconds:.0f} s of processor, {more} further spans")
        for (language, height), (right, all_of) in read.items():
            print(f"  {language:<8} {height} px: {right} of {all_of}")
        print(f"  begin and end off by {np.median(off):.2f} s median, {np.percentile(off, 90):.2f} s at 90 %")
    read_screen._same = tested


if __name__ == "__main__":
    main()

"""Errors of heard words and of their seconds, on speech whose words and places in time are known.

    python -m benchmarks.speech [--prompts 40] [--seed 0]

English is a person's: announcements of the Debian packages asterisk-core-sounds-en-g722 and asterisk-core-sounds-en
(CC-BY-SA-3.0), whose text comes with them. No spoken Chinese sentences with their text are in the registries, so they
are joined from a person's syllables (Debian gcin-voice, CC-BY-3.0), without melody and without links from sound to
sound: harder to understand than a person speaking. Each set becomes the sound of one film, with silence of 0.5 to 3 s
between the announcements, that begins a second after the picture. Word errors are of the whole set (Levenshtein,
numbers as digits, Chinese by character); time errors are of the first and the last word of each announcement against
where its sound rises and falls.
"""

from __future__ import annotations

import argparse
import gzip
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from data.media.audio import sound
from data.settings import load
from data.types import TimedWord
from models.base import SPEECH_RATE_HZ
from models.speech.whisper import WhisperTranscriber

PACKAGES = ("asterisk-core-sounds-en-g722", "asterisk-core-sounds-en", "gcin-voice")
DELAY_S = 1.0
CHINESE = {
    "今天天气很好，我们去公园散步。":
        "ㄐㄧㄣ ㄊㄧㄢ ㄊㄧㄢ ㄑㄧ4 ㄏㄣ3 ㄏㄠ3 ㄨㄛ3 ㄇㄣ2 ㄑㄩ4 ㄍㄨㄥ ㄩㄢ2 ㄙㄢ4 ㄅㄨ4",
    "请把窗户关上，外面在下雨。":
        "ㄑㄧㄥ3 ㄅㄚ3 ㄔㄨㄤ ㄏㄨ4 ㄍㄨㄢ ㄕㄤ4 ㄨㄞ4 ㄇㄧㄢ4 ㄗㄞ4 ㄒㄧㄚ4 ㄩ3",
    "我想买一张红色的沙发。":
        "ㄨㄛ3 ㄒㄧㄤ3 ㄇㄞ3 ㄧ ㄓㄤ ㄏㄨㄥ2 ㄙㄜ4 ㄉㄜ1 ㄕㄚ ㄈㄚ",
    "他昨天在图书馆看了三个小时的书。":
        "ㄊㄚ ㄗㄨㄛ2 ㄊㄧㄢ ㄗㄞ4 ㄊㄨ2 ㄕㄨ ㄍㄨㄢ3 ㄎㄢ4 ㄌㄜ1 ㄙㄢ ㄍㄜ4 ㄒㄧㄠ3 ㄕ2 ㄉㄜ1 ㄕㄨ",
    "火车下午五点从北京出发。":
        "ㄏㄨㄛ3 ㄔㄜ ㄒㄧㄚ4 ㄨ3 ㄨ3 ㄉㄧㄢ3 ㄘㄨㄥ2 ㄅㄟ3 ㄐㄧㄥ ㄔㄨ ㄈㄚ",
    "这部电影讲的是一只兔子的故事。":
        "ㄓㄜ4 ㄅㄨ4 ㄉㄧㄢ4 ㄧㄥ3 ㄐㄧㄤ3 ㄉㄜ1 ㄕ4 ㄧ ㄓ ㄊㄨ4 ㄗ ㄉㄜ1 ㄍㄨ4 ㄕ4",
    "孩子们在草地上踢足球。":
        "ㄏㄞ2 ㄗ ㄇㄣ2 ㄗㄞ4 ㄘㄠ3 ㄉㄧ4 ㄕㄤ4 ㄊㄧ ㄗㄨ2 ㄑㄧㄡ2",
    "妈妈在厨房里做晚饭。":
        "ㄇㄚ ㄇㄚ ㄗㄞ4 ㄔㄨ2 ㄈㄤ2 ㄌㄧ3 ㄗㄨㄛ4 ㄨㄢ3 ㄈㄢ4",
    "明天早上八点我们开会。":
        "ㄇㄧㄥ2 ㄊㄧㄢ ㄗㄠ3 ㄕㄤ4 ㄅㄚ ㄉㄧㄢ3 ㄨㄛ3 ㄇㄣ2 ㄎㄞ ㄏㄨㄟ4",
    "山上的雪到了春天才会融化。":
        "ㄕㄢ ㄕㄤ4 ㄉㄜ1 ㄒㄩㄝ3 ㄉㄠ4 ㄌㄜ1 ㄔㄨㄣ ㄊㄧㄢ ㄘㄞ2 ㄏㄨㄟ4 ㄖㄨㄥ2 ㄏㄨㄚ4",
}  # fmt: skip
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
}


@dataclass(frozen=True, slots=True)
class Said:
    text: str
    samples: npt.NDArray[np.float32]


def english(count: int, seed: int, work: Path) -> list[Said]:
    text = gzip.decompress(next(work.rglob("core-sounds-en.txt.gz")).read_bytes()).decode()
    written = dict(re.findall(r"^([\w-]+): (.+)$", text, re.MULTILINE))
    files = {file.stem: file for file in work.rglob("*.g722")}
    usable = [
        name for name, words in sorted(written.items())
        if name in files and len(words.split()) >= 4 and not re.search(r"[\[\]<(]|\.\.\.", words)
    ]  # fmt: skip
    chosen = np.random.default_rng(seed).permutation(usable)[:count]
    return [Said(written[name], _decoded(files[name])) for name in chosen]


def chinese(work: Path) -> list[Said]:
    folder = next(work.rglob("ogg"))
    out = []
    for text, syllables in CHINESE.items():
        spoken = [_trimmed(_decoded(folder / syllable / "5.ogg")) for syllable in syllables.split()]
        out.append(Said(text, np.concatenate(spoken)))
    return out


def _trimmed(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    loud = np.flatnonzero(np.abs(samples) > 0.03 * np.abs(samples).max())
    return samples[loud[0] : loud[-1]]


def _decoded(file: Path) -> npt.NDArray[np.float32]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SPEECH_RATE_HZ)
    with av.open(str(file)) as opened:
        pieces = [piece.to_ndarray()[0] for frame in opened.decode(audio=0) for piece in resampler.resample(frame)]
    return np.concatenate(pieces)


def film(path: Path, said: list[Said], seed: int) -> list[tuple[float, float]]:
    """Writes the film; where each announcement's sound rises and falls, in seconds."""
    rng = np.random.default_rng(seed)
    track, places, at = [], [], 0
    for one in said:
        silence = int(rng.uniform(0.5, 3) * SPEECH_RATE_HZ)
        loud = np.flatnonzero(np.abs(one.samples) > 0.05 * np.abs(one.samples).max())
        at += silence
        places.append((DELAY_S + (at + loud[0]) / SPEECH_RATE_HZ, DELAY_S + (at + loud[-1]) / SPEECH_RATE_HZ))
        at += len(one.samples)
        track += [np.zeros(silence, np.float32), one.samples]
    whole = np.concatenate([*track, np.zeros(SPEECH_RATE_HZ, np.float32)])
    with av.open(str(path), "w") as out:
        video, audio = out.add_stream("libx264", rate=2), out.add_stream("aac", rate=SPEECH_RATE_HZ)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for _ in range(2 * int(DELAY_S + len(whole) / SPEECH_RATE_HZ) + 2):
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")))
        out.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(whole[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SPEECH_RATE_HZ, int(DELAY_S * SPEECH_RATE_HZ)
        frame.time_base = Fraction(1, SPEECH_RATE_HZ)
        out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    return places


def pieces(text: str) -> list[str]:
    """Words without signs and case, numbers as digits; Chinese characters one by one."""
    words = re.findall(r"[\u3400-\u9fff]|\d|[a-z']+", text.casefold().replace("-", " "))
    return [_NUMBERS.get(word, word) for word in words]


def errors(said: list[str], heard: list[str]) -> int:
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def measure(name: str, said: list[Said], work: Path, seed: int) -> None:
    path = work / f"{name}.mp4"
    places = film(path, said, seed)
    transcriber = WhisperTranscriber(load())
    transcriber.transcribe(np.zeros(SPEECH_RATE_HZ, np.float32))  # loaded
    started_s, busy_s = time.perf_counter(), time.process_time()
    heard: list[TimedWord] = []
    length_s = 0.0
    for piece in sound(path, rate_hz=SPEECH_RATE_HZ):
        length_s = piece.start_s + len(piece.samples) / SPEECH_RATE_HZ
        for span in transcriber.transcribe(piece.samples, start_s=piece.start_s):
            heard.extend(span.words)
    took_s, busy_s = time.perf_counter() - started_s, time.process_time() - busy_s
    wanted = pieces(" ".join(one.text for one in said))
    wrong = errors(wanted, pieces(" ".join(word.text for word in heard)))
    begins, ends, made_up = [], [], 0
    for word in heard:
        middle = (word.start_s + word.end_s) / 2
        made_up += not any(start_s - 0.5 <= middle <= end_s + 0.5 for start_s, end_s in places)
    for start_s, end_s in places:
        inside = [word for word in heard if start_s - 0.5 <= (word.start_s + word.end_s) / 2 <= end_s + 0.5]
        if inside:
            begins.append(abs(inside[0].start_s - start_s))
            ends.append(abs(inside[-1].end_s - end_s))
    print(f"{name}: {len(said)} announcements, {length_s:.0f} s, {len(wanted)} words or characters")
    print(f"  wrong {wrong / len(wanted):.1%}; heard {len(begins)} of {len(said)}; words in silence {made_up}")
    for what, values in (("begin", begins), ("end", ends)):
        print(f"  {what} off by {np.median(values):.2f} s median, {np.percentile(values, 90):.2f} s at 90 %")
    print(f"  {length_s / took_s:.1f} x realtime; {length_s / busy_s:.1f} s of sound a second of processor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for package in PACKAGES:
            subprocess.run(["apt-get", "download", "-qq", package], cwd=work, check=True, stderr=subprocess.DEVNULL)
            subprocess.run(["dpkg", "-x", str(next(work.glob(f"{package}_*.deb"))), str(work / "x")], check=True)
        if asked.prompts:
            measure("English", english(asked.prompts, asked.seed, work), work, asked.seed)
        measure("Chinese, joined syllables", chinese(work), work, asked.seed)


if __name__ == "__main__":
    main()

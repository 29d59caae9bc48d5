"""Real files, damaged in known ways, indexed: how many give what, and that nothing falls over.

    python -m benchmarks.damage [--count 500] [--seed 0] [--workers 2]

Every file is a sample of which bits were flipped, an end was cut off, a stretch was lost, or the head of another file
was put in place of its own. The model is a stand-in (mean colours), since only decoding is at stake.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data.media import MEDIA_EXTENSIONS
from data.settings import load
from indexer.pipeline import IndexReport, index
from models.base import ModelSet

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 5_000_000


def flip_bits(raw: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    for place in rng.integers(0, len(raw), int(rng.integers(1, 200))):
        raw[place] ^= 1 << int(rng.integers(8))
    return raw


def flip_head(raw: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    """Sizes, counts and types stand there."""
    for place in rng.integers(0, min(2048, len(raw)), int(rng.integers(1, 16))):
        raw[place] = int(rng.integers(256))
    return raw


def truncate(raw: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    return raw[: int(rng.integers(0, len(raw)))]


def lose(raw: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    start = int(rng.integers(0, len(raw)))
    return raw[:start] + raw[start + int(rng.integers(1, len(raw))) :]


def splice(raw: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    size = int(rng.integers(16, 4096))
    return bytearray(other[:size]) + raw[size:]


DAMAGES: tuple[Callable[[bytearray, bytes, np.random.Generator], bytearray], ...] = (
    flip_bits, flip_head, truncate, lose, splice,
)  # fmt: skip


def make(folder: Path, sources: list[Path], count: int, seed: int) -> list[Path]:
    """`count` damaged copies, each with a number and its damage in its name."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        source, other = (sources[place] for place in rng.integers(0, len(sources), 2))
        damage = DAMAGES[number % len(DAMAGES)]
        raw = damage(bytearray(source.read_bytes()), other.read_bytes(), rng)
        path = folder / f"{number:04d}_{damage.__name__}_{source.stem}{source.suffix}"
        path.write_bytes(raw)
        made.append(path)
    return made


def samples(most_bytes: int = MOST_BYTES) -> list[Path]:
    """Of photographs, which are many, every fourth."""
    found = sorted(
        path
        for path in (ROOT / "data" / "samples").rglob("*")
        if path.suffix in MEDIA_EXTENSIONS and path.stat().st_size <= most_bytes
    )
    pictures = [path for path in found if MEDIA_EXTENSIONS[path.suffix] == "image"]
    return sorted({*found} - {*pictures} | {*pictures[::4]})


def run(count: int, seed: int, workers: int, models: ModelSet, most_bytes: int = MOST_BYTES) -> IndexReport:
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder) / "media"
        media.mkdir()
        make(media, samples(most_bytes), count, seed)
        settings = load(library=Path(folder) / "library", workers=workers)
        return index([media], library=settings.library, models=models, settings=settings)


def main() -> None:
    from tests.conftest import ColourModel

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    started_s = time.monotonic()
    report = run(arguments.count, arguments.seed, arguments.workers, ModelSet("test", ColourModel()))
    whole = report.indexed - len({warning.path for warning in report.warnings})
    print(
        f"{arguments.count} files in {time.monotonic() - started_s:.0f} s: {whole} indexed without a remark, ", end=""
    )
    print(f"{report.indexed - whole} in part, {len(report.failed)} failed, {sum(report.ignored.values())} not media")
    for what, told in (("in part", report.warnings), ("failed", report.failed)):
        print(f"\n{what}:")
        reasons = Counter(" ".join(word for word in one.reason.split() if "/" not in word)[:70] for one in told)
        for reason, number in reasons.most_common(20):
            print(f"  {number:4} {reason}")


if __name__ == "__main__":
    main()

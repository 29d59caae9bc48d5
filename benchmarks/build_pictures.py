"""Questions by pictures whose answers are known without anybody watching. Seeded; benchmarks/pictures.py asks them.

They are made from a library's own files and from the questions in words that were written by watching them:

- frame: any frame of a film, altered as people's copies are; right is the shot it was taken from.
- photo: a still, altered; right is that still.
- view: a picture of a product; right are the other pictures of it (products.csv), itself left out.
- again: a frame of a moment that answers a question; right are the other moments that answer it, the own one left out.
- box: a product in a drawn room; right are the product's pictures.
- scene: a question in words beside a frame of another moment of the film that answers it: the picture says where, the
  words say what; right is the moment in that film.
- more: a question in words beside one of its answers; right are its other answers.
- color: a product's picture and the name of a colour; right is the copy of it that was painted so (`paint`).
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from benchmarks.build_rooms import empty, put
from data.media import MEDIA_EXTENSIONS, picture
from data.settings import load
from data.types import Pixels
from search.engine import SearchEngine
from search.evaluate import Case, Truth

SEED, FRAMES, PHOTOS, ROOMS = 0, 60, 60, 18
HUES = {"red": 0, "yellow": 42, "green": 85, "blue": 165}  # of 256, as Pillow counts them
PAINTED = "painted"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question by a picture, with or without words.

    Attributes:
        case: its words, kind and answers.
        left_out: a file that must not come back; all of it, or only what lies round at_s.
    """

    case: Case
    rgb: Pixels
    left_out: Path | None = None
    at_s: float | None = None


def paint(samples: Path, folder: Path) -> None:
    """Every product's first picture in every colour of HUES, as JPEG: SS-1001_red.jpg."""
    folder.mkdir(parents=True, exist_ok=True)
    for sku, views in products(samples).items():
        original = Image.open(views[0]).convert("RGB")
        values = np.asarray(original).astype(int)
        thing = np.abs(values - values[:4, :4].mean(axis=(0, 1))).max(axis=2) > 14
        _, _, bright = original.convert("HSV").split()
        for name, hue in HUES.items():
            painted = Image.merge("HSV", (bright.point([hue] * 256), bright.point([190] * 256), bright.point(_lit)))
            mixed = np.where(thing[..., None], np.asarray(painted.convert("RGB")), values).astype(np.uint8)
            Image.fromarray(mixed).save(folder / f"{sku}_{name}.jpg", quality=90)


def _lit(value: int) -> int:
    return 60 + value * 3 // 4  # what is black takes no colour


def products(samples: Path) -> dict[str, list[Path]]:
    views = defaultdict(list)
    with open(samples / "products.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            views[row["sku"]].append(samples / row["file"])
    return dict(views)


def altered(rgb: Pixels, rng: np.random.Generator) -> Pixels:
    """A copy as it comes back: cut, half of them mirrored, darker or brighter, small, and a coarse JPEG."""
    image = Image.fromarray(rgb)
    kept = rng.uniform(0.65, 0.95, 2)
    width, height = (max(16, int(side * part)) for side, part in zip(image.size, kept, strict=True))
    left, top = (int(rng.integers(0, side - part + 1)) for side, part in zip(image.size, (width, height), strict=True))
    image = image.crop((left, top, left + width, top + height))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.6, 1.5)))
    image.thumbnail((240, 240))
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=int(rng.integers(30, 60)))
    return np.asarray(Image.open(packed).convert("RGB"))


def questions(engine: SearchEngine, media: Path, cases: Sequence[Case]) -> list[Asked]:
    """All kinds but those of products.

    Args:
        media: the folder that was indexed. cases: questions in words over it.
    """
    rng = np.random.default_rng(SEED)
    files = sorted(path for path in media.rglob("*") if path.is_file())
    films = [path for path in files if MEDIA_EXTENSIONS.get(path.suffix) == "video"]
    stills = [path for path in files if MEDIA_EXTENSIONS.get(path.suffix) == "image"]
    out = [_frame(engine, media, films[number % len(films)], rng) for number in range(FRAMES)]
    for place in rng.permutation(len(stills))[:PHOTOS]:
        truth = Truth(_name(stills[place], media), None, None)
        out.append(Asked(Case("", "", "photo", (truth,)), altered(look(stills[place], None), rng)))
    plain = [case for case in cases if case.text and not case.image and ":" not in case.text and case.truths]
    plain = [case for case in plain if case.type in ("moment", "still")]
    return [*out, *_again(media, plain), *_scenes(media, plain, rng)]


def _frame(engine: SearchEngine, media: Path, film: Path, rng: np.random.Generator) -> Asked:
    media_id = engine._content_of(film) or ""
    [item] = engine.store.media([media_id])
    at_s = float(rng.uniform(0, item.info.duration_s or 0.0))
    shots = engine.store.segments(media_id)
    shot = max((one for one in shots if (one.start_s or 0.0) <= at_s), key=lambda one: one.start_s or 0.0)
    truth = Truth(_name(film, media), shot.start_s, max(shot.end_s or 0.0, at_s))
    return Asked(Case("", "", "frame", (truth,)), altered(look(film, at_s), rng))


def _again(media: Path, cases: Sequence[Case]) -> Iterator[Asked]:
    for case in cases:
        for truth in case.truths if len(case.truths) > 1 else ():
            at_s = _middle(truth)
            if at_s is None:  # a still is left out as a whole
                others = tuple(one for one in case.truths if one.file != truth.file)
            else:
                others = tuple(one for one in case.truths if one != truth)
            if not others:
                continue
            path = media / truth.file
            rgb = look(path, at_s)
            yield Asked(Case("", "", "again", others), rgb, path, at_s)
            yield Asked(Case(case.text, "", "more", others), rgb, path, at_s)


def _scenes(media: Path, cases: Sequence[Case], rng: np.random.Generator) -> Iterator[Asked]:
    of_film: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        for file in {truth.file for truth in case.truths if truth.start_s is not None}:
            of_film[file].append(case)
    for file, some in sorted(of_film.items()):
        for case in some:
            here = tuple(truth for truth in case.truths if truth.file == file)
            others = [
                truth
                for other in some
                for truth in other.truths
                if other is not case and truth.file == file and not any(_meet(truth, one) for one in here)
            ]
            if others:
                at_s = _middle(others[rng.integers(len(others))])
                yield Asked(Case(case.text, "", "scene", here), look(media / file, at_s))


def of_products(samples: Path) -> list[Asked]:
    """The kinds of products: view, box and color, the painted copies in a folder PAINTED."""
    rng = np.random.default_rng(SEED)
    views, out = products(samples), []
    for sku, pictures in views.items():
        for path in pictures:
            others = tuple(Truth(_name(one, samples), None, None) for one in pictures if one != path)
            out.append(Asked(Case("", "", "view", others), look(path, None), path))
        for name in HUES:
            truth = Truth(f"{PAINTED}/{sku}_{name}.jpg", None, None)
            out.append(Asked(Case(name, "", "color", (truth,)), look(pictures[0], None), pictures[0]))
    for _ in range(ROOMS):
        red, green, blue = rng.integers(110, 220, 3).tolist()
        room = empty((red, green, blue))
        for place, sku in enumerate(rng.choice(sorted(views), 2, replace=False).tolist()):
            left, bottom = 480 * place + int(rng.integers(30, 250)), int(rng.integers(470, 620))
            box = put(room, views[sku][-1], left, bottom, int(rng.integers(90, 220)))
            truths = tuple(Truth(_name(one, samples), None, None) for one in views[sku])
            out.append(Asked(Case("", "", "box", truths, box), np.asarray(room)))  # the second one hides nothing
    return out


def look(path: Path, at_s: float | None) -> Pixels:
    return picture(path, at_s=at_s, max_pixels=load().max_pixels)


def _name(path: Path, media: Path) -> str:
    return path.relative_to(media).as_posix()


def _middle(truth: Truth) -> float | None:
    return None if truth.start_s is None or truth.end_s is None else (truth.start_s + truth.end_s) / 2


def _meet(one: Truth, other: Truth) -> bool:
    return (one.start_s or 0.0) < (other.end_s or 0.0) and (other.start_s or 0.0) < (one.end_s or 0.0)

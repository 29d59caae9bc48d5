"""Profile name -> the set of models. Listing profiles imports nothing heavy; loading one does.

A backend is a package under `models/` with a module `profile` that holds `PROFILE`, a `Profile`. Third parties add
theirs through the entry point group `secondsight.models`, each entry point naming a `Profile`.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points

import models
from data.errors import UnknownProfile
from data.settings import Settings
from data.settings import load as load_settings
from models import artifacts
from models.base import ModelSet

ENTRY_POINT_GROUP = "secondsight.models"

Load = Callable[[Settings, str], ModelSet]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a backend registers.

    Attributes:
        extra: name of the extra in pyproject.toml that brings its dependencies; "" when the base install has them.
        artifacts: names in `models.artifacts` that it needs.
        licences: one line for each set of weights.
        load: (settings, variant) -> ModelSet. `variant` is what stands behind the colon in "name:variant", or "".
        requires: import names that must be there; without them the profile is listed as not installed.
        broken: why a profile that another package registers cannot be used; "" when it can.
    """

    name: str
    description: str
    load: Load
    extra: str = ""
    artifacts: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    broken: str = ""


@dataclass(frozen=True, slots=True)
class ProfileInfo:
    """A profile as people see it. installed: its packages and its weights are all here. broken: why it never will."""

    name: str
    description: str
    extra: str
    artifacts: tuple[str, ...]
    licences: tuple[str, ...]
    installed: bool
    broken: str = ""


def load(profile: str, settings: Settings) -> ModelSet:
    """The models of a profile, ready to use; its weights are fetched when they are not in the cache.

    Args:
        profile: "name", or "name:variant" where the backend knows variants (a model id, a server's URL).

    Raises:
        UnknownProfile: no such profile; lists those there are.
        MissingExtra, WeightsUnavailable: see models.artifacts and data.errors.
    """
    name, _, variant = profile.partition(":")
    known = _profiles()
    if name not in known:
        raise UnknownProfile(f"No profile {name!r}.", remedy=f"There are: {', '.join(sorted(known))}.")
    if known[name].broken:
        raise UnknownProfile(f"The profile {name!r} is broken: {known[name].broken}.", remedy="Update its package.")
    return known[name].load(settings, variant)


def of_library(profile: str, settings: Settings) -> str:
    """The profile that a library names, for `load`.

    Raises:
        UsageError: it is a server that the user never named.
    """
    name, _, variant = profile.partition(":")
    if name == "server" and profile != settings.models:
        from models.server.address import check_named, checked_url

        check_named(checked_url(variant), settings.cache)
    return profile


def profiles(settings: Settings | None = None) -> list[ProfileInfo]:
    """All profiles, the built-in ones first. settings: whose cache is looked into; the user's by default."""
    cache_dir = (settings or load_settings()).cache / "models"
    return [
        ProfileInfo(
            name=profile.name,
            description=profile.description,
            extra=profile.extra,
            artifacts=profile.artifacts,
            licences=profile.licences,
            installed=not profile.broken
            and all(importlib.util.find_spec(module) is not None for module in profile.requires)
            and all(artifacts.installed(name, cache_dir) for name in profile.artifacts),
            broken=profile.broken,
        )
        for profile in _profiles().values()
    ]


def _profiles() -> dict[str, Profile]:
    found: dict[str, Profile] = {}
    for module in pkgutil.iter_modules(models.__path__, "models."):
        if module.ispkg and importlib.util.find_spec(f"{module.name}.profile") is not None:
            profile: Profile = importlib.import_module(f"{module.name}.profile").PROFILE
            found[profile.name] = profile
    for point in entry_points(group=ENTRY_POINT_GROUP):
        profile = _registered(point)
        found.setdefault(profile.name, profile)  # a built-in name cannot be taken over by a package that is installed
    return found


def _registered(point: EntryPoint) -> Profile:
    """What another package registers; its defects cost that profile, not every command."""
    try:
        profile = point.load()
        if isinstance(profile, Profile):
            unknown = [name for name in profile.artifacts if name not in artifacts.ARTIFACTS]
            reason = f"it names weights that are not known: {unknown[0]!r}" if unknown else ""
            return replace(profile, broken=reason, artifacts=()) if reason else profile
        reason = f"{point.value!r} is no Profile"
    except Exception as error:  # whatever its import runs into
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return Profile(name=point.name, description="", load=_never, broken=reason)


def _never(settings: Settings, variant: str) -> ModelSet:
    raise AssertionError("a broken profile is refused before it is loaded")

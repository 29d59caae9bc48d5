"""A folder of safetensors weights, as checkpoints are published: where it is, whether it is whole, what it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from data.errors import WeightsUnavailable

_SAMPLES, _SAMPLE_BYTES = 16, 4096
_LONGEST_HEADER = 64 << 20


class CheckpointFolder:
    """A folder with config.json, tokenizer.json and weights; torch is not needed to look at it.

    Args:
        source: such a folder, or an id on the model hub ("owner/name"), which is fetched when it is not in the hub's
            cache. HF_HUB_OFFLINE=1 is respected.
    """

    profile: ClassVar[str]  # named in remedies
    weights: ClassVar[str] = "*.safetensors"

    def __init__(self, source: str) -> None:
        self.source = source
        self.name = Path(source).expanduser().resolve().name if is_folder(source) else source.rpartition("/")[2]

    @cached_property
    def folder(self) -> Path:
        """Raises: WeightsUnavailable."""
        folder = Path(self.source).expanduser() if is_folder(self.source) else self._from_hub()
        for wanted in ("config.json", "tokenizer.json"):
            if not (folder / wanted).is_file():
                raise WeightsUnavailable(
                    f"The folder {str(folder)!r} has no {wanted}.", remedy="Name the folder of a whole checkpoint."
                )
        if not self._files(folder):
            raise WeightsUnavailable(
                f"The folder {str(folder)!r} has no {self.weights}, and no other form of weights is read.",
                remedy="Save the model as safetensors.",
            )
        return folder

    @cached_property
    def revision(self) -> str:
        """Digest of the weights' headers, sizes and a spread of their bytes: the same wherever they lie."""
        digest = hashlib.blake2b(digest_size=8)
        for path in self._files(self.folder):
            size_bytes = path.stat().st_size
            with open(path, "rb") as file:
                digest.update(_header(file.read(8), file.read, path))
                digest.update(size_bytes.to_bytes(8, "little"))
                for i in range(_SAMPLES):
                    file.seek(max(0, (size_bytes - _SAMPLE_BYTES) * (i + 1) // _SAMPLES))
                    digest.update(file.read(_SAMPLE_BYTES))
        return digest.hexdigest()

    def tensors(self) -> Iterator[tuple[Path, str, tuple[int, ...]]]:
        """File, name and shape of each tensor."""
        for path in self._files(self.folder):
            with open(path, "rb") as file:
                header = json.loads(_header(file.read(8), file.read, path))
            for name, tensor in header.items():
                if name != "__metadata__":
                    yield path, name, tuple(tensor["shape"])

    def _files(self, folder: Path) -> list[Path]:
        """The weights, and all of them: an index names files that must be there."""
        index = folder / "model.safetensors.index.json"
        if index.is_file():
            names = sorted(set(read_json(index).get("weight_map", {}).values()))
            missing = [name for name in names if not (folder / name).is_file()]
            if missing:
                raise WeightsUnavailable(
                    f"The folder {str(folder)!r} lacks {missing[0]!r} and {len(missing) - 1} other files of weights.",
                    remedy="Finish the download.",
                )
            return [folder / name for name in names]
        return sorted(folder.glob(self.weights))

    def _from_hub(self) -> Path:
        from huggingface_hub import snapshot_download

        # What is in the hub's cache is taken without asking the hub, so that the same library opens the same weights.
        wanted = ["*.json", self.weights, "*.txt"]
        for only_here in (True, False):
            try:
                folder = Path(snapshot_download(self.source, allow_patterns=wanted, local_files_only=only_here))
            except Exception as error:  # the hub's client raises its own, httpx's and the system's
                why = type(error).__name__
                continue
            if not only_here or any(folder.glob(self.weights)):
                return folder
        raise WeightsUnavailable(
            f"The weights {self.source!r} are not on this machine and could not be fetched ({why}).",
            remedy=f"Fetch them where there is a network and name their folder: {self.profile}:/path/to/folder.",
        )


def is_folder(source: str) -> bool:
    """A path, whether it exists or not, and no id of the hub ("owner/name")."""
    return Path(source).expanduser().is_dir() or source.count("/") != 1 or source.startswith((".", "/", "~"))


def read_json(path: Path) -> dict[str, Any]:
    """Raises: WeightsUnavailable: it is not there, or holds no object."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise WeightsUnavailable(f"The file {str(path)!r} cannot be read.", remedy="Fetch it again.")
    return value


def _header(size: bytes, read: Any, path: Path) -> bytes:
    length = int.from_bytes(size, "little")
    if len(size) < 8 or length > _LONGEST_HEADER:
        raise WeightsUnavailable(f"The file {str(path)!r} is not a safetensors file.", remedy="Fetch it again.")
    return read(length)

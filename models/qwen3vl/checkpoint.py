"""Where the weights of a model of the family are, and what their files say without loading them."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data.errors import WeightsUnavailable
from models.qwen3vl.prompting import TURN_END, QwenTokens

CLASSES = {"qwen3_vl": "Qwen3VLForConditionalGeneration", "qwen3_vl_moe": "Qwen3VLMoeForConditionalGeneration"}
_FETCHED = ["*.json", "*.safetensors", "*.txt"]
_SAMPLES, _SAMPLE_BYTES = 16, 4096
_LONGEST_HEADER = 64 << 20
_4BIT_BYTES, _16BIT_BYTES = 0.56, 2.0  # a number of a linear layer in NF4 with its scales; any other number


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many numbers a checkpoint holds: all, and those of the language model's linear layers."""

    total: int
    linear: int

    def bytes_in_4_bits(self) -> int:
        return int(self.linear * _4BIT_BYTES + (self.total - self.linear) * _16BIT_BYTES)


class Checkpoint:
    """A folder with config.json, tokenizer.json and *.safetensors; torch is not needed to look at it.

    Args:
        source: such a folder, or an id on the model hub ("Qwen/Qwen3-VL-4B-Instruct"), which is fetched when it is not
            in the hub's cache. HF_HUB_OFFLINE=1 is respected.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.name = Path(source).expanduser().resolve().name if is_folder(source) else source.rpartition("/")[2]

    @cached_property
    def folder(self) -> Path:
        """Raises: WeightsUnavailable."""
        folder = Path(self.source).expanduser() if is_folder(self.source) else _from_hub(self.source)
        for wanted in ("config.json", "tokenizer.json"):
            if not (folder / wanted).is_file():
                raise WeightsUnavailable(
                    f"The folder {str(folder)!r} has no {wanted}.", remedy="Name the folder of a whole checkpoint."
                )
        if not self._files(folder):
            raise WeightsUnavailable(
                f"The folder {str(folder)!r} has no *.safetensors, and no other form of weights is read.",
                remedy="Save the model as safetensors.",
            )
        return folder

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json. Raises: WeightsUnavailable: of another family of models."""
        config = _json(self.folder / "config.json")
        if config.get("model_type") not in CLASSES:
            raise WeightsUnavailable(
                f"{self.source!r} is a {config.get('model_type')!r} model and not one of Qwen3-VL.",
                remedy="Name a model of the family: qwen3-vl:4B, say, or its folder.",
            )
        return config

    @cached_property
    def width(self) -> int:
        """Length of the hidden states, and so of the vectors."""
        return int(self.config.get("text_config", {}).get("hidden_size", 0))

    @property
    def is_fp8(self) -> bool:
        return self.config.get("quantization_config", {}).get("quant_method") == "fp8"

    @property
    def is_mixture(self) -> bool:
        return self.config["model_type"] == "qwen3_vl_moe"

    @property
    def thinks(self) -> bool:
        return "thinking" in self.name.lower()

    @cached_property
    def tokens(self) -> QwenTokens:
        return QwenTokens(self.folder / "tokenizer.json")

    @cached_property
    def ends(self) -> set[int]:
        """The tokens that end an answer."""
        path = self.folder / "generation_config.json"
        told = _json(path).get("eos_token_id") if path.is_file() else None
        ids = told if isinstance(told, list) else [told]
        return {int(i) for i in ids if isinstance(i, int)} | {self.tokens.id_of(TURN_END)}

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

    @cached_property
    def numbers(self) -> Numbers:
        total = linear = 0
        for path in self._files(self.folder):
            with open(path, "rb") as file:
                header = json.loads(_header(file.read(8), file.read, path))
            for name, tensor in header.items():
                if name != "__metadata__" and not name.endswith("_scale_inv"):
                    count = math.prod(tensor["shape"])
                    total += count
                    linear += count if "_proj" in name and "visual" not in name else 0
        return Numbers(total, linear)

    def _files(self, folder: Path) -> list[Path]:
        """The weights, and all of them: an index names files that must be there."""
        index = folder / "model.safetensors.index.json"
        if index.is_file():
            names = sorted(set(_json(index).get("weight_map", {}).values()))
            missing = [name for name in names if not (folder / name).is_file()]
            if missing:
                raise WeightsUnavailable(
                    f"The folder {str(folder)!r} lacks {missing[0]!r} and {len(missing) - 1} other files of weights.",
                    remedy="Finish the download.",
                )
            return [folder / name for name in names]
        return sorted(folder.glob("*.safetensors"))


def is_folder(source: str) -> bool:
    """A path, whether it exists or not, and no id of the hub ("owner/name")."""
    return Path(source).expanduser().is_dir() or source.count("/") != 1 or source.startswith((".", "/", "~"))


def _from_hub(model_id: str) -> Path:
    from huggingface_hub import snapshot_download

    # What is in the hub's cache is taken without asking the hub, so that the same library opens the same weights.
    for only_here in (True, False):
        try:
            folder = Path(snapshot_download(model_id, allow_patterns=_FETCHED, local_files_only=only_here))
        except Exception as error:  # the hub's client raises its own, httpx's and the system's
            why = type(error).__name__
            continue
        if not only_here or any(folder.glob("*.safetensors")):
            return folder
    raise WeightsUnavailable(
        f"The weights {model_id!r} are not on this machine and could not be fetched ({why}).",
        remedy="Fetch them where there is a network and name their folder: qwen3-vl:/path/to/folder.",
    )


def _header(size: bytes, read: Any, path: Path) -> bytes:
    length = int.from_bytes(size, "little")
    if len(size) < 8 or length > _LONGEST_HEADER:
        raise WeightsUnavailable(f"The file {str(path)!r} is not a safetensors file.", remedy="Fetch it again.")
    return read(length)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise WeightsUnavailable(f"The file {str(path)!r} cannot be read.", remedy="Fetch it again.")
    return value

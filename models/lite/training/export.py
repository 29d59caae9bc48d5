"""Trained weights -> text.npz, without pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

GROUP = 64  # weights that share one scale


def quantised(matrix: npt.NDArray[np.float32], levels: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float16]]:
    """(rows, columns) -> codes in [-levels, levels] and (rows, groups) scales. columns must be a multiple of 64."""
    grouped = matrix.reshape(matrix.shape[0], -1, GROUP)
    scales = (np.abs(grouped).max(axis=2) / levels + 1e-8).astype(np.float16)
    codes = np.clip(np.round(grouped / scales.astype(np.float32)[..., None]), -levels, levels)
    return codes.astype(np.int8).reshape(matrix.shape), scales


def export(
    weights: Mapping[str, npt.NDArray[np.float32]], pieces: list[str], scores: list[float], file: Path, levels: int = 31
) -> None:
    """Write text.npz. levels 31 is 6 bits in an int8 container, which zip then packs; cosine to float over 0.99."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, array in sorted(weights.items()):
        if array.ndim == 2 and array.shape[0] > 80:
            arrays[name], arrays[name + ".s"] = quantised(array, levels)
        else:
            arrays[name] = array.astype(np.float16)
    arrays["pieces"] = np.frombuffer("\n".join(pieces).encode("utf-8"), dtype=np.uint8)
    arrays["scores"] = np.asarray(scores, dtype=np.float32)
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

"""CLIP ViT-B/16's image tower on ONNX Runtime: pictures -> 512-d vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.errors import WeightsUnavailable
from data.types import Pixels, Vectors
from models.lite import preprocess

DIM = 512


class ClipImageTower:
    """The tower's own vectors, before this project's centring. Threads inside; calls may come from several threads.

    Args:
        path: the int8 ONNX file (`clip-vit-b16-int8`).
        threads: of the session; 0 means all cores.
        batch_size: pictures in one run of the session.

    Raises:
        WeightsUnavailable: the file cannot be loaded.
    """

    def __init__(self, path: Path, threads: int = 0, batch_size: int = 16) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions share no base class
            raise WeightsUnavailable(
                f"{path.name!r} cannot be loaded ({str(error).splitlines()[0][:120]}).",
                remedy="Delete it and run 'secondsight models pull'.",
            ) from error
        self._batch_size = batch_size

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """(n pictures, (h, w, 3) uint8 RGB) -> (n, 512) float32 of unit L2 norm."""
        vectors = np.empty((len(images), DIM), dtype=np.float32)
        for start in range(0, len(images), self._batch_size):
            batch = images[start : start + self._batch_size]
            pixels = np.empty((len(batch), 3, preprocess.SIDE, preprocess.SIDE), dtype=np.float32)
            for row, image in zip(pixels, batch, strict=True):
                preprocess.to_input(image, row)
            vectors[start : start + len(batch)] = self.run(pixels)
        return vectors

    def run(self, pixels: npt.NDArray[np.float32]) -> Vectors:
        """(n, 3, 224, 224) prepared pixels -> (n, 512), one run of the session."""
        (raw,) = self._session.run(["image_embeds"], {"pixel_values": pixels})
        return raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12)

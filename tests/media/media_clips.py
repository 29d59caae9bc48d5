"""Synthetic clips whose every frame says its own number, so that a decoded picture tells which frame it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 12


def numbered(number: int, width: int = 192, height: int = 108) -> np.ndarray:
    """(height, width, 3): the bits of the number as 12 bright or dark columns, most significant first."""
    columns = np.arange(width) * BITS // width
    row = ((number >> (BITS - 1 - columns)) & 1).astype(np.uint8) * 200 + 28
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def number_of(pixels: np.ndarray) -> int:
    """The number drawn in an RGB or brightness picture of any size."""
    gray = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    row = gray[gray.shape[0] // 4 : max(gray.shape[0] // 4 + 1, 3 * gray.shape[0] // 4)].mean(axis=0)
    centres = ((np.arange(BITS) + 0.5) * len(row) / BITS).astype(int)
    return int("".join("1" if row[c] > 128 else "0" for c in centres), 2)


@dataclass(frozen=True)
class Clip:
    """times_s[i]: when frame `first + i` must be shown. tick_s: the container's rounding."""

    path: Path
    times_s: list[float]
    tick_s: float = 0.0
    first: int = 0
    gap_s: float = 0.04
    notes: dict = field(default_factory=dict)


def write(
    path: Path,
    ticks: list[int],
    *,
    time_base: Fraction = Fraction(1, 25),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (192, 108),
    options: dict[str, str] | None = None,
    muxer: dict[str, str] | None = None,
    shift: int = 0,
    rotate_deg: int = 0,
    sample_aspect: Fraction | None = None,
    sound_s: float = 0.0,
    picture=numbered,
    metadata: dict[str, str] | None = None,
    bframes: int = 0,
) -> Path:
    """Encode frame i at ticks[i]; `shift` moves every packet in the container by that many ticks."""
    with av.open(str(path), "w", options=muxer or {}) as out:
        out.metadata.update(metadata or {})
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = time_base
        if bframes:
            stream.codec_context.max_b_frames = bframes
        stream.options = options or {}
        if sample_aspect:
            stream.codec_context.sample_aspect_ratio = sample_aspect
        if rotate_deg:
            stream.set_display_rotation(rotate_deg)
        sound = out.add_stream("aac", rate=48000) if sound_s else None

        def mux(packets):
            for packet in packets:
                if shift:
                    move = int(shift * time_base / packet.time_base)
                    packet.pts += move
                    packet.dts = None if packet.dts is None else packet.dts + move
                out.mux(packet)

        for number, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            frame.pts, frame.time_base = tick, time_base
            mux(stream.encode(frame))
        mux(stream.encode())
        if sound is not None:
            for start in range(0, int(48000 * sound_s), 1024):
                block = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
                block.pts, block.sample_rate, block.time_base = start, 48000, Fraction(1, 48000)
                out.mux(sound.encode(block))
            out.mux(sound.encode())
    return path

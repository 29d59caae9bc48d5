"""A decoded video frame to display pixels: colour, sample aspect, size and orientation; and the cheap luma tap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from data.media.geometry import display_size, fit, on_white
from data.types import Pixels

if TYPE_CHECKING:
    import av

Luma: TypeAlias = npt.NDArray[np.uint8]

LUMA_LONG_SIDE = 48
_HDR_TRANSFERS = {ColorTrc.SMPTE2084.value, ColorTrc.ARIB_STD_B67.value}
_UNSPECIFIED_MATRIX = 2  # AVCOL_SPC_UNSPECIFIED
_ALPHA_FORMATS = ("yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya", "pal8")


@dataclass(frozen=True, slots=True)
class Orientation:
    """Mirror left-right first, then turn clockwise by quarters."""

    quarters: int = 0
    mirrored: bool = False

    def apply(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if self.mirrored:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(np.rot90(pixels, -self.quarters)) if self.quarters or self.mirrored else pixels


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """From the frame's display matrix, nine 16.16 fixed-point numbers (ISO 14496-12, 6.2.2; libavutil/display.h)."""
    try:
        matrix = frame.side_data["DISPLAYMATRIX"]  # type: ignore[typeddict-item]  # missing in the stubs
    except KeyError:
        return Orientation()
    a, b, _, c, d = (float(value) for value in np.frombuffer(bytes(matrix), "=i4")[:5])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    if a == b == 0:
        return Orientation()
    return Orientation(round(math.atan2(b, a) / (math.pi / 2)) % 4, mirrored)


class FrameConverter:
    """Turns the frames of one stream into arrays. Keeps its scaler, so use one per stream and thread."""

    def __init__(self, sample_aspect: Fraction | None, orientation: Orientation) -> None:
        self._sample_aspect = sample_aspect
        self._orientation = orientation
        self._scaler = VideoReformatter()
        self._luma_scaler = VideoReformatter()
        self._luma_shape: tuple[int, ...] | None = None

    def rgb(self, frame: av.VideoFrame, short_side: int | None) -> Pixels:
        """(height, width, 3) display pixels, composited on white where the video has transparency."""
        width, height = fit(*display_size(frame.width, frame.height, self._sample_aspect), short_side)
        shrinks = width < frame.width or height < frame.height
        has_alpha = frame.format.name.startswith(_ALPHA_FORMATS)
        arguments: dict[str, Any] = {
            "width": width,
            "height": height,
            "format": "rgba" if has_alpha else "rgb24",
            "interpolation": Interpolation.AREA if shrinks else Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            "src_colorspace": _matrix(frame),
            "dst_color_range": ColorRange.JPEG,
            "threads": 1,
        }
        if frame.color_trc in _HDR_TRANSFERS:  # otherwise HDR looks grey and flat
            arguments |= {"dst_color_trc": ColorTrc.BT709, "dst_color_primaries": ColorPrimaries.BT709}
        pixels = self._scaler.reformat(frame, **arguments).to_ndarray().astype(np.uint8, copy=False)
        return self._orientation.apply(on_white(pixels) if has_alpha else pixels)

    def luma(self, frame: av.VideoFrame) -> Luma:
        """About 48 x 27 brightness values (twice that on no side, fewer for tiny frames), display orientation.

        Straight from the Y plane where there is one. The shape stays the same even where a stream changes its size.
        """
        depth = _planar_depth(frame)
        small = _sampled_luma(frame, depth) if depth is not None else None
        if small is None or (self._luma_shape and small.shape != self._luma_shape):
            small = self._scaled_luma(frame, *(self._luma_shape or _luma_shape(frame.width, frame.height)))
        self._luma_shape = small.shape
        return self._orientation.apply(small)

    def _scaled_luma(self, frame: av.VideoFrame, height: int, width: int) -> Luma:
        gray = self._luma_scaler.reformat(
            frame, width=width, height=height, format="gray", interpolation=Interpolation.AREA, threads=1
        )
        return gray.to_ndarray().astype(np.uint8, copy=False)


def _matrix(frame: av.VideoFrame) -> int | None:
    """YUV matrix; where the file is silent, by size as broadcasting has it: BT.709 from 720 lines up, else BT.601."""
    if frame.colorspace != _UNSPECIFIED_MATRIX:
        return None
    return Colorspace.ITU709 if min(frame.width, frame.height) >= 720 else Colorspace.ITU601


def _luma_shape(width: int, height: int) -> tuple[int, int]:
    """(height, width)"""
    scale = max(width, height) / LUMA_LONG_SIDE
    return max(1, round(height / scale)), max(1, round(width / scale))


def _planar_depth(frame: av.VideoFrame) -> int | None:
    """Bits of plane 0 when it holds nothing but luma in the low bits of little-endian samples, else None."""
    name = frame.format.name
    if name in ("nv12", "nv21", "gray") or (name.startswith(("yuv4", "yuvj4", "yuva4")) and name.endswith("p")):
        return 8
    if name.startswith(("yuv4", "yuva4", "gray")) and name.endswith("le"):
        bits = frame.format.components[0].bits
        return bits if 8 < bits <= 16 else None
    return None


def _sampled_luma(frame: av.VideoFrame, depth: int) -> Luma | None:
    """Means of 3 x 3 samples a few pixels apart: about 12,000 samples are read, whatever the size of the frame.

    None for a frame of a few pixels.
    """
    plane = frame.planes[0]
    dtype: np.dtype[Any] = np.dtype("u1") if depth == 8 else np.dtype("<u2")
    rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, plane.line_size // dtype.itemsize)[
        :, : plane.width
    ]
    step = max(1, round(max(rows.shape) / (3 * LUMA_LONG_SIDE)))
    height, width = rows.shape[0] // (3 * step), rows.shape[1] // (3 * step)
    if min(height, width) < 1:
        return None
    total = np.zeros((height, width), np.uint32)
    for y in range(step // 2, 3 * step, step):  # nine strided views added up: three times as fast as one reshape
        for x in range(step // 2, 3 * step, step):
            total += rows[y :: 3 * step, x :: 3 * step][:height, :width]
    return ((total // 9) >> (depth - 8)).astype(np.uint8)

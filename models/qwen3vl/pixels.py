"""Pixels as Qwen3-VL's vision tower takes them, without torch: resized by PIL's bicubic filter, then cut into patches.

Pictures stay uint8: they are a quarter of the bytes on the way to the GPU. They are cut there, and rescaled and
normalised there (x / 127.5 - 1, the published mean and deviation of 0.5) in float32 as the published processor does.
Sizes follow the processors of transformers (`smart_resize`, image and video differ); a test holds the two equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.errors import UnsupportedMedia
from data.types import Pixels

PATCH = 16
MERGE = 2
TEMPORAL = 2
FACTOR = PATCH * MERGE  # a token is FACTOR x FACTOR pixels
PATCH_DIM = 3 * TEMPORAL * PATCH * PATCH
MAX_ASPECT = 200  # the published limit
CUT_ORDER = (0, 2, 5, 3, 6, 8, 1, 4, 7)  # of the axes of `cut`, for patches in merge-block order


@dataclass(frozen=True, slots=True)
class PixelBudget:
    """How many pixels a picture, or all frames of a clip together, may have after resizing (1024 pixels = 1 token)."""

    min_pixels: int
    max_pixels: int


IMAGE_BUDGET = PixelBudget(64 * FACTOR**2, 1280 * FACTOR**2)
EMBED_BUDGET = PixelBudget(4 * FACTOR**2, 1800 * FACTOR**2)  # as Qwen3-VL-Embedding and -Reranker were published


def frames_budget(frames: int, tokens_per_pair: int) -> PixelBudget:
    """The budget of a clip whose every pair of frames becomes at most `tokens_per_pair` tokens."""
    return PixelBudget(4 * FACTOR**2, max(frames, TEMPORAL) * tokens_per_pair * FACTOR**2)


@dataclass(frozen=True, slots=True)
class Patches:
    """One picture, or one clip, resized.

    Attributes:
        frames: (2 * time, 16 * height, 16 * width, 3) uint8, or one frame that stands for both of a pair (a still).
        time, height, width: the grid: pairs of frames, and patches down and across (both even).
    """

    frames: Pixels

    @property
    def time(self) -> int:
        return -(-len(self.frames) // TEMPORAL)

    @property
    def height(self) -> int:
        return self.frames.shape[1] // PATCH

    @property
    def width(self) -> int:
        return self.frames.shape[2] // PATCH

    @property
    def tokens(self) -> int:
        return self.time * self.tokens_per_pair

    @property
    def data(self) -> npt.NDArray[np.uint8]:
        """(time * height * width, 1536) in merge-block order, each patch (channel, frame, row, column)."""
        frames = np.broadcast_to(self.frames, (TEMPORAL * self.time, *self.frames.shape[1:]))
        return np.ascontiguousarray(frames.reshape(cut(frames.shape)).transpose(CUT_ORDER)).reshape(-1, PATCH_DIM)

    @property
    def tokens_per_pair(self) -> int:
        return self.height * self.width // MERGE**2


def image_size(height: int, width: int, budget: PixelBudget) -> tuple[int, int]:
    """(height, width) that a still is resized to: multiples of 32 inside the budget, aspect kept.

    Raises:
        UnsupportedMedia: longer than 200 times its other side.
    """
    check_aspect(height, width)
    new_height, new_width = round(height / FACTOR) * FACTOR, round(width / FACTOR) * FACTOR
    if new_height * new_width > budget.max_pixels:
        return _shrink(height, width, math.sqrt(height * width / budget.max_pixels))
    if new_height * new_width < budget.min_pixels:
        return _grow(height, width, math.sqrt(budget.min_pixels / (height * width)))
    return new_height, new_width


def clip_size(frames: int, height: int, width: int, budget: PixelBudget) -> tuple[int, int]:
    """(height, width) that each frame of a clip is resized to; the budget is that of all frames together.

    Raises:
        UnsupportedMedia: longer than 200 times its other side.
    """
    if min(height, width) < FACTOR:
        scale = max(FACTOR / height, FACTOR / width)
        height, width = int(height * scale), int(width * scale)
    check_aspect(height, width)
    new_height, new_width = round(height / FACTOR) * FACTOR, round(width / FACTOR) * FACTOR
    pixels = round(frames / TEMPORAL) * TEMPORAL * new_height * new_width
    if pixels > budget.max_pixels:
        return _shrink(height, width, math.sqrt(frames * height * width / budget.max_pixels))
    if pixels < budget.min_pixels:
        return _grow(height, width, math.sqrt(budget.min_pixels / (frames * height * width)))
    return new_height, new_width


def image_patches(rgb: Pixels, budget: PixelBudget = IMAGE_BUDGET) -> Patches:
    """One still: its patch pairs hold the same picture twice."""
    height, width = image_size(rgb.shape[0], rgb.shape[1], budget)
    return Patches(_resize(rgb, height, width)[None])


def clip_patches(frames: Sequence[Pixels], budget: PixelBudget) -> Patches:
    """Frames of one clip, at least two; an odd last frame is paired with itself."""
    height, width = clip_size(len(frames), frames[0].shape[0], frames[0].shape[1], budget)
    resized = [_resize(frame, height, width) for frame in frames]
    if len(resized) % TEMPORAL:
        resized.append(resized[-1])
    return Patches(np.stack(resized))


def pair_times(times_s: Sequence[float]) -> list[float]:
    """The time written before each pair of frames: the mean of the two, an odd last one alone."""
    padded = list(times_s) + [times_s[-1]] * (len(times_s) % TEMPORAL)
    return [(first + second) / 2 for first, second in zip(padded[::2], padded[1::2], strict=True)]


def check_aspect(height: int, width: int) -> None:
    """Raises: UnsupportedMedia: longer than 200 times its other side."""
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise UnsupportedMedia(
            f"A picture of {width}x{height} pixels is longer than {MAX_ASPECT} times its other side.",
            remedy="Crop it first.",
        )


def _shrink(height: int, width: int, beta: float) -> tuple[int, int]:
    return (
        max(FACTOR, math.floor(height / beta / FACTOR) * FACTOR),
        max(FACTOR, math.floor(width / beta / FACTOR) * FACTOR),
    )


def _grow(height: int, width: int, beta: float) -> tuple[int, int]:
    return math.ceil(height * beta / FACTOR) * FACTOR, math.ceil(width * beta / FACTOR) * FACTOR


def _resize(rgb: Pixels, height: int, width: int) -> Pixels:
    if rgb.shape[:2] == (height, width):
        return rgb
    from PIL import Image

    resized = Image.fromarray(np.ascontiguousarray(rgb)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)


def cut(shape: Sequence[int]) -> tuple[int, ...]:
    """(frames, height, width, 3) as time, frame, block row, row in it, y, block column, column in it, x, channel."""
    frames, height, width, channels = shape
    rows, columns = height // FACTOR, width // FACTOR
    return frames // TEMPORAL, TEMPORAL, rows, MERGE, PATCH, columns, MERGE, PATCH, channels

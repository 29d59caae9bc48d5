"""The one door to media files: what a source is, and how a path becomes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from data.errors import MediaError, UnsupportedMedia, UsageError
from data.media.types_of_file import MEDIA_EXTENSIONS, identify, read_head, show
from data.types import Box, Frame, MediaInfo, Pixels

DEFAULT_MAX_PIXELS = 200_000_000

# (time_s, duration_s, brightness picture) -> whether the frame is wanted in colour.
Choose: TypeAlias = Callable[[float, float | None, npt.NDArray[np.uint8]], bool]


class MediaSource(Protocol):
    """An open file.

    Attributes:
        info: what the file is.
        warnings: what could not be decoded, one sentence each; complete once an iteration has ended.
    """

    info: MediaInfo
    warnings: tuple[str, ...]

    def frames(
        self,
        *,
        rate_fps: float | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        short_side: int | None = None,
        luma: bool = False,
        choose: Choose | None = None,
        key_frames: bool = False,
    ) -> Iterator[Frame]:
        """Frames on screen in [start_s, end_s), in order; the first is the one on screen at start_s.

        Args:
            rate_fps: for each grid time k / rate_fps, the frame on screen then, each frame once at most, with its own
                time; None yields every frame.
            short_side: scale so that the short side has this many pixels; never enlarges.
            luma: yield every decoded frame with a small brightness picture; those not sampled have rgb None.
            choose: asked of every decoded frame of a video or animation in turn, in place of rate_fps.
            key_frames: of a video decode key frames only, which is a hundred times faster; each then counts as on
                screen until the next.

        Raises:
            UsageError: a rate, time or size out of range.
            CorruptMedia: nothing could be decoded.
        """
        ...

    def frame_at(self, time_s: float | None, *, short_side: int | None = None) -> Frame:
        """The frame on screen at time_s; the last one beyond the end; the first for None."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None: ...


def open_media(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> MediaSource:
    """Open a file by its content, whatever its name says. Use as a context manager.

    Raises:
        MissingMedia, UnsupportedMedia, CorruptMedia, MediaTooLarge.
    """
    head = read_head(path)
    file_format = identify(head)
    if file_format is None and MEDIA_EXTENSIONS.get(path.suffix.lower()) != "video":
        raise UnsupportedMedia(
            f"{show(path)} is not a picture, animation or video that we read.",
            remedy="Convert it to JPEG, PNG, GIF or MP4.",
        )
    if file_format is None or file_format == "video":
        from data.media.video import VideoSource

        return VideoSource(path, max_pixels, known=file_format is not None)

    from data.media.animation import AnimationSource, is_animation
    from data.media.still import StillSource, open_image

    image = open_image(path, file_format, max_pixels)
    if is_animation(image, file_format):
        return AnimationSource(path, file_format, image, max_pixels)
    return StillSource(path, file_format, image, max_pixels)


def probe(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> MediaInfo:
    """What a file is. Of a video one frame is decoded, so that what cannot be decoded is found here.

    Raises:
        MissingMedia, UnsupportedMedia, CorruptMedia, MediaTooLarge.
    """
    with open_media(path, max_pixels=max_pixels) as source:
        return source.info


def picture(
    path: Path, *, at_s: float | None = None, box: Box | None = None, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Pixels:
    """A whole picture, a paused frame, or the box drawn on it.

    Args:
        at_s: seconds into a video or animation; None is its first frame, and the only choice for a still.
        box: in display pixels; must lie within the picture.

    Raises:
        UsageError: at_s or box do not fit the file.
        MediaError: as open_media.
    """
    with open_media(path, max_pixels=max_pixels) as source:
        duration_s = source.info.duration_s
        if at_s is not None:
            if duration_s is None:
                raise UsageError(f"{show(path)} is a still: it has no second {at_s:g}.", remedy="Leave the second out.")
            if not 0 <= at_s < duration_s:
                raise UsageError(
                    f"Second {at_s:g} is not in {show(path)}, which lasts {duration_s:.3f} s.",
                    remedy=f"Give 0 to {duration_s:.3f}.",
                )
        rgb = source.frame_at(at_s).rgb
    assert rgb is not None
    return rgb if box is None else _crop(rgb, box)


def _crop(rgb: Pixels, box: Box) -> Pixels:
    height, width = rgb.shape[:2]
    inside = box.x >= 0 and box.y >= 0 and box.x + box.width <= width and box.y + box.height <= height
    if box.width < 1 or box.height < 1 or not inside:
        raise UsageError(
            f"Box {box.x},{box.y},{box.width},{box.height} does not lie in the picture of {width} x {height} pixels.",
            remedy="Give left,top,width,height in its pixels.",
        )
    return rgb[box.y : box.y + box.height, box.x : box.x + box.width].copy()


def thumbnail_jpeg(path: Path, at_s: float | None, *, side: int = 320, max_pixels: int = DEFAULT_MAX_PIXELS) -> bytes:
    """JPEG of a picture or of the frame on screen at at_s, its long side at most `side` pixels.

    Raises:
        MediaError: as open_media.
    """
    import io

    from PIL import Image

    with open_media(path, max_pixels=max_pixels) as source:
        info = source.info
        short_side = max(1, round(side * min(info.width, info.height) / max(info.width, info.height)))
        rgb = source.frame_at(None if info.duration_s is None else at_s, short_side=short_side).rgb
    if rgb is None:
        raise MediaError(f"{show(path)} gave no picture.")
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "JPEG", quality=85)
    return out.getvalue()

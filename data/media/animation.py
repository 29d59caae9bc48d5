"""GIF, APNG, animated WebP and AVIF through Pillow: composited frames with the delays of the file."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from PIL import ImageFile

from data.errors import CorruptMedia
from data.media.sampling import Timed, check_range, select
from data.media.source import Choose
from data.media.still import PILLOW_ERRORS, corrupt, image_info, open_image, orientation, small_luma, to_rgb
from data.media.types_of_file import FileFormat, show
from data.types import Frame

# Browsers show a frame whose delay is 10 ms or less for 100 ms (Chromium, third_party/blink/renderer/platform/
# graphics/bitmap_image.cc and image-decoders: "We follow Firefox's behavior and use a duration of 100 ms for any
# frames that specify a duration of <= 10 ms"). Times here must be the times that a person sees.
SHORTEST_DELAY_MS = 10.0
DEFAULT_DELAY_MS = 100.0


def is_animation(image: ImageFile.ImageFile, file_format: FileFormat) -> bool:
    if file_format not in ("GIF", "PNG", "WEBP", "AVIF"):  # several pages or views are not an animation
        return False
    try:
        return getattr(image, "n_frames", 1) - _first(image) > 1
    except PILLOW_ERRORS:  # the count met damage: reading frame by frame will tell how many are whole
        return file_format == "GIF"


def _first(image: ImageFile.ImageFile) -> int:
    """An APNG may carry a picture for viewers that cannot animate; it is not part of the animation."""
    return int(bool(getattr(image, "default_image", False) or image.info.get("default_image", False)))


class AnimationSource:
    """Frames with time_s and duration_s out of the file. Reads front to back: each frame builds on those before."""

    def __init__(self, path: Path, file_format: FileFormat, image: ImageFile.ImageFile, max_pixels: int) -> None:
        self._path, self._format, self._max_pixels = path, file_format, max_pixels
        self.warnings: tuple[str, ...] = ()
        self._first = _first(image)
        self._turn = orientation(image)
        info = image_info(image, file_format)
        try:
            self._starts_s = self._read_starts(image)
        finally:
            image.close()
        count, duration_s = len(self._starts_s) - 1, self._starts_s[-1]
        self.info = replace(info, kind="gif", duration_s=duration_s, frame_rate=count / duration_s)

    def _read_starts(self, image: ImageFile.ImageFile) -> list[float]:
        """Start of every frame and, last, the end. Decodes each once: only some formats say their delays up front."""
        delays: list[float] = []
        stamps: list[float | None] = []
        count = getattr(image, "n_frames", 1) if self._format != "GIF" else None
        for index in itertools.count(self._first):
            if count is not None and index >= count:
                break
            try:
                image.seek(index)
                image.load()
            except EOFError:
                break
            except PILLOW_ERRORS as error:
                if not delays:
                    raise corrupt(self._path, self._format, error) from None
                self.warnings = (f"only the first {len(delays)} frames could be decoded",)
                break
            delays.append(float(image.info.get("duration") or 0.0))
            stamps.append(image.info.get("timestamp"))
        if not delays:
            raise CorruptMedia(f"{show(self._path)} holds no frame.", remedy="Copy it again.")
        return _starts(delays, stamps)

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
        """See MediaSource.frames."""
        check_range(rate_fps, start_s, end_s, short_side)
        decoded = self._decode()
        try:
            for time_s, duration_s, image, sampled in select(decoded, rate_fps=rate_fps, start_s=start_s, end_s=end_s):
                if not (sampled or luma):
                    continue
                tap = small_luma(to_rgb(image, 48, self._turn)) if luma or choose else None
                if choose is not None and tap is not None:
                    sampled = choose(time_s, duration_s, tap)
                rgb = to_rgb(image, short_side, self._turn) if sampled else None
                if rgb is not None or luma:
                    yield Frame(time_s, duration_s, rgb, tap)
        finally:
            decoded.close()

    def _decode(self) -> Generator[Timed]:
        image = open_image(self._path, self._format, self._max_pixels)
        try:
            for index, (start, end) in enumerate(itertools.pairwise(self._starts_s), self._first):
                image.seek(index)
                image.load()
                yield Timed(start, end - start, image.copy())
        except PILLOW_ERRORS as error:
            raise corrupt(self._path, self._format, error) from None
        finally:
            image.close()

    def frame_at(self, time_s: float | None, *, short_side: int | None = None) -> Frame:
        """The frame on screen at time_s, the last one beyond the end."""
        wanted = time_s or 0.0
        check_range(None, wanted, None, short_side)
        wanted = min(wanted, self._starts_s[-2])
        return next(self.frames(start_s=wanted, short_side=short_side))

    def close(self) -> None:
        """Nothing is held between calls."""

    def __enter__(self) -> AnimationSource:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _starts(delays_ms: list[float], stamps_ms: list[float | None]) -> list[float]:
    """Seconds at which each frame begins, and the end of the last.

    Time stamps, where Pillow gives them, are free of the rounding that its delays carry.
    """
    shown = [delay if delay > SHORTEST_DELAY_MS else DEFAULT_DELAY_MS for delay in delays_ms]
    if shown == delays_ms and None not in stamps_ms:
        return [stamp / 1000 for stamp in (*stamps_ms, stamps_ms[-1] + delays_ms[-1])]  # type: ignore[operator]
    return [total / 1000 for total in itertools.accumulate(shown, initial=0.0)]

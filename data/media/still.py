"""Still pictures through Pillow: header first, then only as many pixels as are wanted."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image, ImageCms, ImageFile, ImageOps

from data.errors import CorruptMedia, MediaError, MediaTooLarge, UnsupportedMedia
from data.media import tags
from data.media.geometry import fit, on_white
from data.media.source import Choose
from data.media.types_of_file import FileFormat, show
from data.types import Frame, MediaInfo, Pixels

ORIENTATION_TAG = 0x0112
# What Pillow's decoders raise on damaged files, found by feeding them truncated and random bytes.
PILLOW_ERRORS: tuple[type[Exception], ...] = (
    OSError, ValueError, SyntaxError, IndexError, TypeError, KeyError, EOFError, struct.error, zlib.error,
    OverflowError, MemoryError, ZeroDivisionError, AttributeError, RuntimeError,
    # Not an OSError nor any of the above; GIF's decoder runs Pillow's own size check on every frame.
    Image.DecompressionBombError,
)  # fmt: skip
# A picture cut short is used when at least this share of its rows came.
MIN_ROWS_SHARE = 0.5
_TURNS = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}  # EXIF orientation -> clockwise degrees, mirroring aside


def open_image(path: Path, file_format: FileFormat, max_pixels: int) -> ImageFile.ImageFile:
    """The header of a picture, by one named Pillow decoder, never by guessing among all of them.

    Going to the decoder itself leaves Pillow's process-wide size limit alone: ours is checked here, before any pixel.

    Raises:
        UnsupportedMedia, CorruptMedia, MediaTooLarge.
    """
    if file_format == "HEIF":
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            raise UnsupportedMedia(
                f"{show(path)} is HEIC and needs secondsight[heic].",
                remedy="Install it: pip install 'secondsight[heic]'.",
            ) from None
        register_heif_opener()
    Image.init()
    try:
        image = Image.OPEN[file_format][0](path, str(path))  # type: ignore[arg-type]
    except PILLOW_ERRORS as error:
        raise corrupt(path, file_format, error) from None
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise too_large(path, width, height, max_pixels)
    return image  # type: ignore[return-value]


def corrupt(path: Path, file_format: str, error: Exception) -> CorruptMedia:
    reason = tags.clean(error) or type(error).__name__
    return CorruptMedia(f"{show(path)} is a damaged {file_format} file ({reason}).", remedy="Copy it again.")


def too_large(path: Path, width: int, height: int, max_pixels: int) -> MediaTooLarge:
    return MediaTooLarge(
        f"{show(path)} is {width} x {height} pixels, over the limit of {max_pixels:,} pixels.",
        remedy="Shrink it, or raise max_pixels.",
    )


def orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except PILLOW_ERRORS:
        return 1
    return value if value in range(1, 9) else 1


def image_info(image: ImageFile.ImageFile, file_format: FileFormat) -> MediaInfo:
    turn = orientation(image)
    width, height = image.size
    if turn >= 5 and file_format != "TIFF":  # Pillow already reports a TIFF's turned size
        width, height = height, width
    try:
        captured_at, facts = tags.from_exif(image.getexif())
    except PILLOW_ERRORS:
        captured_at, facts = "", {}
    container = file_format.lower()
    return MediaInfo(
        "image", width, height, None, container, "", _TURNS.get(turn, 0), captured_at=captured_at, tags=facts
    )


def to_rgb(image: Image.Image, short_side: int | None = None, turn: int = 1) -> Pixels:
    """Any Pillow picture as (h, w, 3) sRGB on white: scaled, then turned.

    Args:
        turn: EXIF orientation, 1 to 8.
    """
    image = _eight_bit(image)
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        image = Image.fromarray(on_white(np.asarray(image.convert("RGBA"))))
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    size = fit(*image.size, short_side)
    if size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    image = _to_srgb(image, profile)
    method = _TRANSPOSE.get(turn)
    return np.array(image.transpose(method) if method is not None else image)


_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,  # Pillow turns counter-clockwise
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float gray to 8 bits; Pillow's own convert() clips them at 255."""
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.uint32)
        return Image.fromarray((wide >> 8).astype(np.uint8))
    if image.mode == "I":
        wide = np.asarray(image)
        shift = 8 if wide.max(initial=0) > 255 else 0
        return Image.fromarray((np.clip(wide, 0, 65535) >> shift).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=0.0, neginf=0.0)
        low, high = min(0.0, float(values.min())), float(values.max())
        top = high if high > 1.0 else 1.0
        return Image.fromarray(((values - low) * (255.0 / (top - low))).astype(np.uint8))
    return image


def _to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """By the embedded colour profile where it has one that fits; a bad profile is ignored, as viewers do."""
    if isinstance(profile, bytes) and profile and image.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except ImageCms.PyCMSError:
            pass
        except PILLOW_ERRORS:
            pass
    return image if image.mode == "RGB" else image.convert("RGB")


class StillSource:
    """One picture. Its only frame has no time."""

    def __init__(self, path: Path, file_format: FileFormat, image: ImageFile.ImageFile, max_pixels: int) -> None:
        self._path, self._format, self._image, self._max_pixels = path, file_format, image, max_pixels
        self.info = image_info(image, file_format)
        self.warnings: tuple[str, ...] = ()

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
        """The picture, once; times do not apply."""
        frame = self.frame_at(None, short_side=short_side)
        yield Frame(None, None, frame.rgb, small_luma(frame.rgb) if luma and frame.rgb is not None else None)

    def frame_at(self, time_s: float | None, *, short_side: int | None = None) -> Frame:
        """The picture, whatever the time."""
        image = self._image if self._image.fp is not None else self._reopen()
        self._image = image
        turn = 1 if self._format == "TIFF" else orientation(image)  # Pillow turns TIFF itself, while loading
        if short_side is not None and self._format == "JPEG":
            image.draft(None, fit(*image.size, short_side))  # decodes at 1/2, 1/4 or 1/8 where that is enough
        try:
            try:
                image.load()
            except OSError as error:
                self._keep_rows(image, error)
            rgb = to_rgb(image, short_side, turn)
        except MediaError:
            raise
        except PILLOW_ERRORS as error:
            raise corrupt(self._path, self._format, error) from None
        finally:
            image.close()
        return Frame(None, None, rgb)

    def _reopen(self) -> ImageFile.ImageFile:
        return open_image(self._path, self._format, self._max_pixels)

    def _keep_rows(self, image: ImageFile.ImageFile, error: OSError) -> None:
        """After a failed load: keep the rows that came, if they are enough."""
        try:
            image.tile = []
            bottom = (image.getbbox() or (0, 0, 0, 0))[3]
        except PILLOW_ERRORS:
            bottom = 0
        if bottom < MIN_ROWS_SHARE * image.size[1]:
            raise error
        share = 100 * bottom // image.size[1]
        what = f"only the upper {share} % of the picture" if share < 100 else "all but the very end of the picture"
        self.warnings = (f"{what} could be decoded ({tags.clean(error)})",)

    def close(self) -> None:
        self._image.close()

    def __enter__(self) -> StillSource:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def small_luma(rgb: Pixels) -> np.ndarray:
    """About 48 x 27 brightness values."""
    image = Image.fromarray(rgb).convert("L")
    return np.array(ImageOps.contain(image, (48, 48), Image.Resampling.BOX))

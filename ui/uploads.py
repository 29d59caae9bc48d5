"""Pictures that come by upload: decoded from a file of our own that nobody hears of."""

from __future__ import annotations

import tempfile
from pathlib import Path

from data.errors import MediaError
from data.media import picture
from data.types import Box, Pixels
from ui.text import plain


def picture_of(upload: bytes, name: str, *, max_pixels: int, box: Box | None = None) -> Pixels:
    """The pixels of an upload, (height, width, 3).

    Args:
        name: as its sender has it; only its ending is used, and errors name it.

    Raises:
        MediaError: it is not a picture that can be decoded within the limits.
    """
    with tempfile.TemporaryDirectory(prefix="secondsight-") as folder:
        path = Path(folder) / f"upload{Path(name).suffix.lower()[:8]}"
        path.write_bytes(upload)
        try:
            return picture(path, box=box, max_pixels=max_pixels)
        except MediaError as error:
            told = repr(plain(name, 80)) if name else "The upload"
            raise type(error)(
                error.message.replace(repr(str(path)), told).replace(str(path), told), remedy=error.remedy
            ) from None

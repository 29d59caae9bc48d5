"""Pictures that come by upload: decoded from a file of our own that nobody hears of."""

from __future__ import annotations

import tempfile
from pathlib import Path

from data.errors import MediaError, UsageError
from data.types import Box, Pixels
from search.pictures import look
from ui.text import plain


def picture_of(
    upload: bytes, name: str, *, max_pixels: int, remedy: str, at_s: float | None = None, box: Box | None = None
) -> Pixels:
    """The pixels of an upload, (height, width, 3): of a film those at its second.

    Args:
        name: as its sender has it; only its ending is used, and errors name it.
        remedy: how its sender names a second, told when a film comes without one.

    Raises:
        MediaError: it is not a picture that can be decoded within the limits.
        UsageError: a film without a second, or a second or box that does not fit.
    """
    with tempfile.TemporaryDirectory(prefix="secondsight-") as folder:
        path = Path(folder) / f"upload{Path(name).suffix.lower()[:8]}"
        path.write_bytes(upload)
        try:
            return look(path, at_s=at_s, box=box, max_pixels=max_pixels, remedy=remedy)
        except (MediaError, UsageError) as error:
            told, message = repr(plain(name, 80)) if name else "The upload", error.message
            for ours in (repr(str(path)), str(path), repr(path.name)):
                message = message.replace(ours, told)
            raise type(error)(message, remedy=error.remedy) from None

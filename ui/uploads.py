"""Pictures that come by upload: decoded from a file of our own that nobody hears of, a film apart and within a time."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from data.errors import CorruptMedia, MediaError, UsageError
from data.media import probe, sniff
from data.media.types_of_file import HEAD_BYTES
from data.types import Box, Kind, Pixels
from search.pictures import look
from ui.text import plain

MOST_S = 10.0  # for the frame of a film: encoders set a key frame every 250 frames or sooner, unless told otherwise
_decoding = threading.BoundedSemaphore(4)  # processes at once, whatever number of films is asked with


def kind_of(upload: bytes | memoryview, name: str) -> Kind | None:
    """What an upload is by its bytes, as `data.media.sniff`; its name decides only where they do not."""
    with _as_file(upload[:HEAD_BYTES], name) as path:
        return sniff(path)


def picture_of(
    upload: bytes, name: str, *, max_pixels: int, remedy: str, at_s: float | None = None, box: Box | None = None
) -> Pixels:
    """The pixels of an upload, (height, width, 3): of a film those at its second.

    Args:
        name: as its sender has it; only its ending is used, and errors name it.
        remedy: how its sender names a second, told when a film comes without one.

    Raises:
        MediaError: it is not a picture that can be decoded within the limits, a film's frame within MOST_S.
        UsageError: a film without a second, or a second or box that does not fit.
    """
    with _as_file(upload, name) as path:
        try:
            kind = sniff(path)
            if kind == "gif" or (kind == "video" and at_s is not None):
                rgb = _frame(path, at_s or 0.0, max_pixels)
                if rgb is not None:
                    from PIL import Image

                    Image.fromarray(rgb).save(path, "BMP")  # from here on it is a still like any other
                    at_s = None
            return look(path, at_s=at_s, box=box, max_pixels=max_pixels, remedy=remedy)
        except (MediaError, UsageError) as error:
            told, message = repr(plain(name, 80)) if name else "The upload", error.message
            for ours in (repr(str(path)), str(path), repr(path.name)):
                message = message.replace(ours, told)
            raise type(error)(message, remedy=error.remedy) from None


@contextmanager
def _as_file(content: bytes | memoryview, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="secondsight-") as folder:
        path = Path(folder) / f"upload{Path(name).suffix.lower()[:8]}"
        path.write_bytes(content)
        yield path


def _frame(path: Path, at_s: float, max_pixels: int) -> Pixels | None:
    """The frame on screen at a second, decoded in a process of its own, which ends when its time is over.

    Returns:
        None where there is none: a still, or a second beyond the end.

    Raises:
        MediaError: it cannot be decoded, or not within MOST_S.
    """
    from indexer import wire
    from indexer.process import Decoder, Lost

    request = {
        "do": "pictures", "path": wire.path_out(path), "max_pixels": max_pixels,
        "rate_fps": None, "start_s": at_s, "end_s": None, "short_side": None,
    }  # fmt: skip
    decoder = Decoder()
    try:
        with _decoding, closing(decoder.ask(request, silence_s=MOST_S)) as answers:
            message, rgb = next(answers)
        if message["is"] == "failed":
            probe(path, max_pixels=max_pixels)  # raises the same as what it is, where the file cannot be opened
            raise MediaError(str(message["reason"]))
        if rgb is None or message["time_s"] is None:
            return None
        return rgb if at_s < float(message["time_s"]) + float(message["duration_s"] or 0.0) else None
    except Lost as error:
        if not error.silent:
            raise CorruptMedia(f"{path}: {error}.") from None
        raise MediaError(
            f"{path} cannot be decoded up to its second {at_s:g} within {MOST_S:g} s.",
            remedy="Send that frame as a picture, or the film with more key frames.",
        ) from None
    except wire.NONSENSE as error:
        raise CorruptMedia(f"{path}: {Lost.by(error)}.") from None
    finally:
        decoder.end()

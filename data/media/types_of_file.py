"""What a file is, from its first bytes: content decides, the extension only breaks ties."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal, TypeAlias

from data.errors import CorruptMedia, MissingMedia, UnsupportedMedia
from data.types import Kind

HEAD_BYTES = 64 * 1024  # enough for every magic, an ftyp box, and the chunks before a PNG's first IDAT

FileFormat: TypeAlias = Literal["JPEG", "PNG", "WEBP", "AVIF", "BMP", "TIFF", "GIF", "HEIF", "video"]

MEDIA_EXTENSIONS: dict[str, Kind] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".bmp", ".dib"), "image"),
    **dict.fromkeys((".tif", ".tiff", ".heic", ".heif", ".hif"), "image"),
    **dict.fromkeys((".gif", ".apng", ".avifs"), "gif"),
    **dict.fromkeys((".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".divx"), "video"),
    **dict.fromkeys((".ts", ".mts", ".m2ts", ".m2t", ".tp", ".mpg", ".mpeg", ".vob", ".mpv", ".m2v"), "video"),
    **dict.fromkeys((".flv", ".f4v", ".wmv", ".asf", ".ogv", ".ogm", ".mxf", ".ivf", ".y4m"), "video"),
    **dict.fromkeys((".h264", ".264", ".h265", ".265", ".hevc", ".mjpeg", ".mjpg"), "video"),
}

_MAGIC: tuple[tuple[bytes, FileFormat], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\x1aE\xdf\xa3", "video"),  # EBML: Matroska, WebM
    (b"FLV\x01", "video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video"),  # ASF
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02", "video"),  # MXF
    (b"\0\0\x01\xba", "video"),  # MPEG program stream
    (b"\0\0\x01\xb3", "video"),  # MPEG video
    (b"DKIF", "video"),  # IVF
    (b"YUV4MPEG2 ", "video"),
)
_AUDIO_BRANDS = {b"M4A ", b"M4B ", b"M4P "}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
# QuickTime files older than ftyp begin with one of these; a recording cut short begins with mdat.
_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}


def read_head(path: Path) -> bytes:
    """First HEAD_BYTES of a regular file.

    Raises:
        MissingMedia: there is no such file, or it may not be read.
        UnsupportedMedia: it is a folder, a pipe or a device.
        CorruptMedia: it is empty.
    """
    name = show(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise UnsupportedMedia(f"{name} is a folder, not a file.", remedy="Name a file in it.")
        if not stat.S_ISREG(mode):
            raise UnsupportedMedia(f"{name} is not a regular file.", remedy="Copy its content into a file first.")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingMedia(f"{name} does not exist.", remedy="Check the path.") from None
    except PermissionError:
        raise MissingMedia(f"{name} may not be read (permission denied).", remedy="Give read permission.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise MissingMedia(f"{name} cannot be read: {error}.", remedy="Check the path and the disk.") from None
    if not head:
        raise CorruptMedia(f"{name} is empty (0 bytes).", remedy="Copy it again from its source.")
    return head


def identify(head: bytes) -> FileFormat | None:
    """Format by magic bytes, None when no magic that we know is there."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": "video"}.get(head[8:12])  # type: ignore[return-value]
    if head[:4] == b"OggS" and (b"theora" in head or b"OVP80" in head):  # otherwise it is music
        return "video"
    if head[4:8] == b"ftyp":
        return _identify_ftyp(head)
    if head[4:8] in _BOXES:
        return "video"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in (12, 16, 40, 52, 56, 64, 108, 124):
        return "BMP"
    # MPEG transport stream: a sync byte every 188 bytes, behind a 4-byte time code in M2TS.
    for first, step in ((0, 188), (4, 192)):
        syncs = head[first : first + 5 * step : step]
        if len(syncs) >= 2 and set(syncs) == {0x47}:
            return "video"
    return None


def _identify_ftyp(head: bytes) -> FileFormat | None:
    size = min(max(int.from_bytes(head[:4], "big"), 12), 4096)
    major = head[8:12]
    brands = {major, *(head[i : i + 4] for i in range(16, min(size, len(head)), 4))}
    if major in _AUDIO_BRANDS:
        return None
    if major in _AVIF_BRANDS or (major in (b"mif1", b"msf1") and brands & _AVIF_BRANDS):
        return "AVIF"
    return "HEIF" if major in _HEIF_BRANDS else "video"


def sniff(path: Path) -> Kind | None:
    """Whether a file might be ours, by its first bytes and then its extension; nothing is decoded.

    A GIF or WebP said to be "gif" here may turn out to hold one picture: only `probe` knows.

    Returns:
        The likely kind; None when neither content nor extension is one we know, or the file cannot be read.
    """
    by_name = MEDIA_EXTENSIONS.get(path.suffix.lower())
    try:
        head = read_head(path)
    except (CorruptMedia, MissingMedia):
        return by_name
    except UnsupportedMedia:
        return None
    name = identify(head)
    if name is None:
        return by_name
    if name == "video":
        return "video"
    return "gif" if _is_animated(name, head) else "image"


def _is_animated(name: FileFormat, head: bytes) -> bool:
    if name == "GIF":
        return True
    if name == "WEBP":  # the animation bit of the VP8X chunk
        return head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 0x02)
    if name == "AVIF":
        return head[8:12] == b"avis"
    if name == "PNG":
        at = 8
        while at + 8 <= len(head):
            chunk = head[at + 4 : at + 8]
            if chunk in (b"acTL", b"IDAT"):
                return chunk == b"acTL"
            at += 12 + int.from_bytes(head[at : at + 4], "big")
    return False


def show(path: Path) -> str:
    """A path as one printable line, undecodable bytes and control characters escaped."""
    text = str(path).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)

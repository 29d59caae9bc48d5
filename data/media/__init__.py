"""Pixels with their exact time, out of any still, animation or video.

`open_media` gives a source whose frames carry presentation seconds; `probe` tells what a file is; `sniff` only guesses,
cheaply. Nothing heavy is imported until a file of that kind is opened.
"""

from data.media.source import DEFAULT_MAX_PIXELS, MediaSource, open_media, picture, probe, thumbnail_jpeg
from data.media.types_of_file import MEDIA_EXTENSIONS, sniff

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "MEDIA_EXTENSIONS",
    "MediaSource",
    "open_media",
    "picture",
    "probe",
    "sniff",
    "thumbnail_jpeg",
]

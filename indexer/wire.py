"""Messages between the run and a decoding process: one line of JSON, then as many bytes as it announces.

Plain values and raw pixels only; nothing is unpickled. What arrives is checked, since a decoder that met a hostile file
may say anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from data.types import MediaInfo, Pixels

MAX_LINE_BYTES = 16 << 20  # the edges of a hundred thousand shots
MAX_PAYLOAD_BYTES = 1 << 30

Message: TypeAlias = dict[str, Any]


class BadMessage(Exception):
    """The other side died in the middle of a message, or sent what is none."""


def send(stream: BinaryIO, message: Mapping[str, Any], payload: Pixels | None = None) -> None:
    """Args: payload: sent as its bytes; its shape stands in the message."""
    size = {} if payload is None else {"shape": list(payload.shape), "bytes": payload.nbytes}
    stream.write(json.dumps({**message, **size}).encode("ascii") + b"\n")
    if payload is not None:
        stream.write(np.ascontiguousarray(payload).data)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Message, Pixels | None] | None:
    """The next message with its picture; None when the other side has closed.

    Raises:
        BadMessage: it is cut off or malformed.
    """
    line = stream.readline(MAX_LINE_BYTES)
    if not line:
        return None
    try:
        message = json.loads(line)
        size = message.get("bytes", 0)
        if not size:
            return message, None
        height, width, channels = message["shape"]
        if channels != 3 or size != height * width * 3 or not 0 < size <= MAX_PAYLOAD_BYTES:
            raise ValueError(f"shape {message['shape']}, {size} bytes")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadMessage(str(error)) from None
    payload = stream.read(size)
    if len(payload) != size:
        raise BadMessage("cut off")
    return message, np.frombuffer(payload, np.uint8).reshape(height, width, 3)


def info_out(info: MediaInfo) -> dict[str, Any]:
    return asdict(info)


def info_in(values: Mapping[str, Any]) -> MediaInfo:
    """Raises BadMessage."""
    try:
        return MediaInfo(**values)
    except TypeError as error:
        raise BadMessage(str(error)) from None

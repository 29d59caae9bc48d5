"""Messages between the run and a decoding process: one line of JSON, then as many bytes as it announces.

Plain values, raw pixels and samples only; nothing is unpickled. What arrives is checked, since a decoder that met a
hostile file may say anything.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from data.types import MediaInfo

MAX_LINE_BYTES = 16 << 20  # the edges of a hundred thousand shots
MAX_PAYLOAD_BYTES = 1 << 30

_LARGEST = 1 << 63

Message: TypeAlias = dict[str, Any]
Payload: TypeAlias = npt.NDArray[Any]  # Pixels, or (n,) float32 of sound


class BadMessage(Exception):
    """The other side died in the middle of a message, or sent what is none."""


NONSENSE = (BadMessage, KeyError, TypeError, ValueError, ArithmeticError, RecursionError)  # of reading a message


def send(stream: BinaryIO, message: Mapping[str, Any], payload: Payload | None = None) -> None:
    """Args: payload: sent as its bytes; its type and shape stand in the message."""
    size = {}
    if payload is not None:
        size = {"type": payload.dtype.name, "shape": list(payload.shape), "bytes": payload.nbytes}
    stream.write(json.dumps({**message, **size}).encode("ascii") + b"\n")
    if payload is not None:
        stream.write(np.ascontiguousarray(payload).data)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Message, Payload | None] | None:
    """The next message with its picture or sound; None when the other side has closed.

    Raises:
        BadMessage: it is cut off or malformed.
    """
    line = stream.readline(MAX_LINE_BYTES)
    if not line:
        return None
    try:
        message = json.loads(line, parse_int=_whole, parse_float=_real, parse_constant=_real)
        size = message.get("bytes", 0)
        if not size:
            return message, None
        dtype, shape = np.dtype(message["type"]), message["shape"]
        match message["type"], shape:
            case ("uint8", [int(height), int(width), 3]):
                expected = height * width * 3
            case ("float32", [int(samples)]):
                expected = samples * 4
            case _:
                expected = -1
        if size != expected or not 0 < size <= MAX_PAYLOAD_BYTES:
            raise ValueError(f"{message['type']} of shape {shape}, {size} bytes")
    except (*NONSENSE, AttributeError) as error:
        raise BadMessage(str(error)) from None
    payload = stream.read(size)
    if len(payload) != size:
        raise BadMessage("cut off")
    return message, np.frombuffer(payload, dtype).reshape(shape)


def _whole(digits: str) -> int:
    value = int(digits)
    if not -_LARGEST <= value < _LARGEST:
        raise ValueError(f"a number of {len(digits)} digits")
    return value


def _real(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:20]} is no number")
    return value


def path_out(path: Path) -> str:
    return os.fsencode(path).hex()


def path_in(text: str) -> Path:
    return Path(os.fsdecode(bytes.fromhex(text)))


def info_out(info: MediaInfo) -> dict[str, Any]:
    return asdict(info)


def info_in(values: Mapping[str, Any]) -> MediaInfo:
    """Raises BadMessage."""
    try:
        return MediaInfo(**values)
    except TypeError as error:
        raise BadMessage(str(error)) from None

"""A chat turn -> the tokens, positions and patches that Qwen3-VL was trained on.

The text is the published chat template; a clip is one `<12.0 seconds>` and one vision block a pair of frames, the time
being the mean of the pair. That is the form the models were trained on and the one vLLM sends; transformers 5.10 and
later leave one more <|vision_start|> <|vision_end|> round the whole clip, which a test pins as the only difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from data.types import Pixels
from models.qwen3vl.pixels import (
    IMAGE_BUDGET,
    MERGE,
    Patches,
    PixelBudget,
    clip_patches,
    frames_budget,
    image_patches,
    pair_times,
)

IMAGE_PAD, VIDEO_PAD = "<|image_pad|>", "<|video_pad|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
TURN_START, TURN_END = "<|im_start|>", "<|im_end|>"
TOKENS_PER_PAIR = 256  # 512x512 pixels a pair: what 768-pixel video keeps legible; the published range is 128 to 768


@dataclass(frozen=True, slots=True)
class Picture:
    """A still in a turn."""

    rgb: Pixels
    budget: PixelBudget = IMAGE_BUDGET


@dataclass(frozen=True, slots=True)
class Footage:
    """Frames with their times in a turn. One frame alone is sent as a still behind its time.

    Attributes:
        frames: pictures of one size, at least one.
        times_s: PTS-true time of each.
        tokens_per_pair: most tokens that a pair of frames may become.
    """

    frames: tuple[Pixels, ...]
    times_s: tuple[float, ...]
    tokens_per_pair: int = TOKENS_PER_PAIR


Part = str | Picture | Footage


@dataclass(frozen=True, slots=True)
class Turn:
    """What is asked of a model: a system message ("" for none) and one user message of text and pictures in order."""

    system: str
    user: tuple[Part, ...]


class Tokens(Protocol):
    """What is needed of a tokenizer; `tokenizers.Tokenizer` answers to it through `load_tokenizer`."""

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str: ...

    def id_of(self, token: str) -> int: ...


@dataclass(slots=True)
class Prompt:
    """A turn ready for the model.

    Attributes:
        ids: (n,) int32 token ids, placeholders expanded.
        positions: (3, n) int32 multimodal rotary positions: time, height, width.
        visual: (n,) bool, the places of vision tokens, in the order of `blocks`.
        blocks: pictures and clips as patches, in order of appearance.
        next_position: the rotary position of the first generated token.
    """

    ids: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int32]
    visual: npt.NDArray[np.bool_]
    blocks: tuple[Patches, ...]
    next_position: int
    keys: tuple[str, ...] = field(default=())  # cache keys of the blocks' vision features; empty: not cached

    def __len__(self) -> int:
        return len(self.ids)


def plain(text: str) -> str:
    """Untrusted text with no way to end a turn or open a vision block: "<|" is parted."""
    return text.replace("<|", "< |")


def turn_text(turn: Turn) -> tuple[str, list[Patches], list[int]]:
    """The turn as text with one placeholder a vision block, the blocks, and the tokens behind each placeholder.

    The text and what is expanded from it are exactly what a tokenizer sees; `prompt` turns them into ids.
    """
    blocks: list[Patches] = []
    counts: list[int] = []
    user: list[str] = []
    for part in turn.user:
        if isinstance(part, str):
            user.append(plain(part))
        elif isinstance(part, Picture) or len(part.frames) == 1:
            if isinstance(part, Picture):
                block = image_patches(part.rgb, part.budget)
            else:
                user.append(stamp(part.times_s[0]))
                block = image_patches(part.frames[0], frames_budget(1, part.tokens_per_pair))
            blocks.append(block)
            counts.append(block.tokens_per_pair)
            user.append(f"{VISION_START}{IMAGE_PAD}{VISION_END}")
        else:
            block = clip_patches(part.frames, frames_budget(len(part.frames), part.tokens_per_pair))
            blocks.append(block)
            for time_s in pair_times(part.times_s):
                counts.append(block.tokens_per_pair)
                user.append(f"{stamp(time_s)}{VISION_START}{VIDEO_PAD}{VISION_END}")
    system = f"{TURN_START}system\n{plain(turn.system)}{TURN_END}\n" if turn.system else ""
    text = f"{system}{TURN_START}user\n{''.join(user)}{TURN_END}\n{TURN_START}assistant\n"
    return text, blocks, counts


def stamp(time_s: float) -> str:
    """The time as it stands before a pair of frames, one decimal as published."""
    return f"<{time_s:.1f} seconds>"


def prompt(turn: Turn, tokens: Tokens) -> Prompt:
    """The whole turn, ending where the model's answer begins."""
    text, blocks, counts = turn_text(turn)
    return assemble(tokens.encode(text), blocks, counts, {tokens.id_of(IMAGE_PAD), tokens.id_of(VIDEO_PAD)})


def assemble(ids: Sequence[int], blocks: Sequence[Patches], counts: Sequence[int], pads: set[int]) -> Prompt:
    """Expands the placeholders and lays out the rotary positions (interleaved M-RoPE, Qwen3-VL report, section 2).

    Text moves all three positions on by one; a vision block stands at one time, spreads in height and width, and the
    text behind it goes on after its longer side.
    """
    grids = [(block.height // MERGE, block.width // MERGE) for block in blocks for _ in range(block.time)]
    pieces: list[npt.NDArray[np.int32]] = []
    places: list[npt.NDArray[np.int32]] = []
    visual: list[npt.NDArray[np.bool_]] = []
    at, block_index = 0, 0
    for token in ids:
        if token in pads:
            rows, columns = grids[block_index]
            count = counts[block_index]
            row, column = np.divmod(np.arange(count, dtype=np.int32), columns)
            pieces.append(np.full(count, token, np.int32))
            places.append(np.stack([np.full(count, at, np.int32), row + at, column + at]).astype(np.int32))
            visual.append(np.ones(count, bool))
            at += max(rows, columns)
            block_index += 1
        else:
            pieces.append(np.array([token], np.int32))
            places.append(np.full((3, 1), at, np.int32))
            visual.append(np.zeros(1, bool))
            at += 1
    return Prompt(np.concatenate(pieces), np.concatenate(places, axis=1), np.concatenate(visual), tuple(blocks), at)


class QwenTokens:
    """The Qwen3 tokenizer through the `tokenizers` library alone (no torchvision, no processor class).

    Args:
        path: a tokenizer.json.
    """

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path))

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def id_of(self, token: str) -> int:
        token_id = self._tokenizer.token_to_id(token)
        if token_id is None:
            raise ValueError(f"The tokenizer has no token {token!r}.")
        return token_id

"""Words -> the image tower's space: multilingual-e5-small cut to English and Chinese and tuned into that space.

Plain numpy: a query is a handful of tokens, so the forward pass is a few milliseconds of matrix products and needs
no further runtime. How the weights were made: `python -m models.lite.training --help` and docs/models/lite.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from data.types import Vectors
from models.lite.tokenizer import PAD, Tokenizer

LAYERS, HEADS, DIM = 12, 12, 512
MAX_TOKENS = 64
MAX_CHARS = 1000
_BATCH = 32

Floats = npt.NDArray[np.float32]


class TextTower:
    """The tuned encoder, mean pooled, and its linear head.

    Args:
        arrays: the contents of text.npz. Matrices are int8 with fp16 scales, one for every 64 weights of a row,
            under "<name>" and "<name>.s"; the vocabulary is "pieces" (UTF-8, one a line) and "scores".
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        self._tokenizer = Tokenizer(bytes(arrays["pieces"]).decode("utf-8").split("\n"), arrays["scores"].tolist())
        self._words, self._word_scales = np.asarray(arrays["emb_word"]), np.asarray(arrays["emb_word.s"])
        self._w: dict[str, Floats] = {}
        for name, array in arrays.items():
            if name.endswith(".s") or name in {"pieces", "scores", "emb_word"}:
                continue
            matrix = dequantised(array, arrays[name + ".s"]) if name + ".s" in arrays else array.astype(np.float32)
            # Stored (out, in); multiplied as x @ (in, out).
            self._w[name] = np.ascontiguousarray(matrix.T) if matrix.ndim == 2 and name != "emb_pos" else matrix

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(n texts) -> (n, 512) float32 of unit L2 norm. Texts are cut at 64 tokens."""
        vectors = np.empty((len(texts), DIM), dtype=np.float32)
        tokens = [self._tokenizer.encode(text[:MAX_CHARS], MAX_TOKENS) for text in texts]
        by_length = sorted(range(len(texts)), key=lambda row: len(tokens[row]))  # little padding in a batch
        for start in range(0, len(texts), _BATCH):
            rows = by_length[start : start + _BATCH]
            vectors[rows] = self._forward([tokens[row] for row in rows])
        return vectors

    def _forward(self, tokens: list[list[int]]) -> Floats:
        w, length = self._w, max(map(len, tokens))
        ids = np.full((len(tokens), length), PAD)
        for row, sequence in zip(ids, tokens, strict=True):
            row[: len(sequence)] = sequence
        mask = (ids != PAD).astype(np.float32)
        x = dequantised(self._words[ids.ravel()], self._word_scales[ids.ravel()]).reshape(*ids.shape, -1)
        x = _layer_norm(x + w["emb_pos"][:length] + w["emb_type"].reshape(-1), w["emb_ln_w"], w["emb_ln_b"])
        hidden = x.shape[-1]
        hide = (mask[:, None, None, :] - 1) * 1e9
        for i in range(LAYERS):
            p = f"l{i}_"
            q, k, v = (
                (x @ w[p + c + "_w"] + w[p + c + "_b"]).reshape(*ids.shape, HEADS, -1).transpose(0, 2, 1, 3)
                for c in "qkv"
            )
            attention = _softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(np.float32(hidden / HEADS)) + hide)
            mixed: Floats = (attention @ v).transpose(0, 2, 1, 3).reshape(*ids.shape, hidden)
            x = _layer_norm(x + mixed @ w[p + "ao_w"] + w[p + "ao_b"], w[p + "aln_w"], w[p + "aln_b"])
            inner = _gelu(x @ w[p + "fi_w"] + w[p + "fi_b"])
            x = _layer_norm(x + inner @ w[p + "fo_w"] + w[p + "fo_b"], w[p + "oln_w"], w[p + "oln_b"])
        pooled = (x * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        out = pooled @ w["head_w"] + w["head_b"]
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def dequantised(codes: npt.NDArray[np.generic], scales: npt.NDArray[np.generic]) -> Floats:
    """(rows, columns) int8 and (rows, groups) scales -> float32."""
    rows, groups = scales.shape
    grouped = codes.reshape(rows, groups, -1).astype(np.float32) * scales.astype(np.float32)[:, :, None]
    return grouped.reshape(rows, -1)


def _layer_norm(x: Floats, scale: Floats, shift: Floats) -> Floats:
    x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-12) * scale + shift


def _softmax(x: Floats) -> Floats:
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def _gelu(x: Floats) -> Floats:
    """x times the normal distribution function, by Abramowitz and Stegun 7.1.26 (error under 2e-7)."""
    z = np.abs(x) * np.float32(0.70710678)
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(x) * (1 - series * np.exp(-z * z))
    return (0.5 * x * (1 + erf)).astype(np.float32)

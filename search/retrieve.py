"""Candidates: each part of a query asks the store on its own; what any of them finds is looked at by all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.store.base import Filter, FrameVectors, Store
from data.types import Hit, Query
from models.base import JointEmbedder, Modality

CHANNEL = "joint"
SAMPLE_FRAMES = 2048  # enough for a mean and a deviation to two digits


@dataclass(frozen=True, slots=True)
class Part:
    """One thing asked for.

    Attributes:
        channel: its name in the evidence: "words" or "picture".
        vector: (dim,) float32, unit norm.
        weight: below 0 pushes away.
    """

    channel: str
    modality: Modality
    vector: npt.NDArray[np.float32]
    weight: float
    label: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A medium that some part found, with the whole similarity curve of every part: (parts, n) float32."""

    media_id: str
    frames: FrameVectors
    similarities: npt.NDArray[np.float32]


def parts_of(query: Query, model: JointEmbedder) -> list[Part]:
    """Embed once, whatever number of stages look at it."""
    parts = []
    if query.text.strip():
        vector = model.embed_texts([query.text.strip()])[0]
        parts.append(Part("words", "text", vector, 1.0, query.text.strip()))
    if query.images:
        vectors = model.embed_images([image.rgb for image in query.images])
        for image, vector in zip(query.images, vectors, strict=True):
            parts.append(Part("picture", "image", vector, image.weight, image.label))
    return parts


def sample(store: Store, parts: Sequence[Part]) -> npt.NDArray[np.float32]:
    """(parts, n) similarities of frames spread over the library; one column of zeros when it is empty."""
    vectors = store.sample_vectors(CHANNEL, SAMPLE_FRAMES)
    asked = np.stack([part.vector for part in parts])
    return asked @ vectors.T if len(vectors) else np.zeros((len(parts), 1), np.float32)


def hits(store: Store, parts: Sequence[Part], depth: int, where: Filter) -> list[list[Hit]]:
    """The `depth` nearest frames of every part that attracts; parts that push away only weigh on what was found."""
    return [store.search_vectors(CHANNEL, part.vector, depth, where) if part.weight > 0 else [] for part in parts]


def candidates(store: Store, parts: Sequence[Part], found: Sequence[Sequence[Hit]]) -> list[Candidate]:
    """All frames of every medium that was hit, compared with every part."""
    asked = np.stack([part.vector for part in parts])
    out = []
    for media_id in dict.fromkeys(hit.media_id for hits_of_part in found for hit in hits_of_part):
        frames = store.frame_vectors(CHANNEL, media_id)
        out.append(Candidate(media_id, frames, asked @ frames.vectors.T))
    return out

"""The protocols every backend answers to. Vectors are float32 rows of unit L2 norm, compared by dot product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from data.types import Pixels, Vectors

Modality = Literal["text", "image"]


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What a library's manifest records of a model; two libraries compare only when these are equal.

    Attributes:
        name: stable id, for example "lite/clip-vit-b16-int8".
        revision: changes whenever the same input may give another vector (weights sha256 prefix, head version).
        dim: vector length.
        metric: "cosine" throughout.
        preprocessing: short stable description of how pixels become input ("squash224-bicubic").
    """

    name: str
    revision: str
    dim: int
    metric: str = "cosine"
    preprocessing: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@runtime_checkable
class ImageEmbedder(Protocol):
    @property
    def identity(self) -> ModelIdentity: ...

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """(n pictures of any sizes) -> (n, dim). Batches inside; an empty sequence gives (0, dim)."""
        ...


@runtime_checkable
class TextEmbedder(Protocol):
    @property
    def identity(self) -> ModelIdentity: ...

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """(n texts, any language the model knows) -> (n, dim)."""
        ...


@runtime_checkable
class JointEmbedder(ImageEmbedder, TextEmbedder, Protocol):
    """Text and images in one space, with a calibrated reading of their similarity."""

    def match_probability(
        self, query_vectors: Vectors, similarities: npt.NDArray[np.float32], modality: Modality
    ) -> npt.NDArray[np.float32]:
        """Probability that a picture matches a query.

        Args:
            query_vectors: (q, dim) vectors of the queries, made by this embedder.
            similarities: (q, n) their dot products with n pictures' vectors.
            modality: what the query was made of.

        Returns:
            (q, n) probabilities in [0, 1], rising with the similarity for one query.
        """
        ...


@dataclass(frozen=True, slots=True)
class ModelSet:
    """What a profile brings. Parts it does not have are None and the stages that need them are left out.

    Attributes:
        picture_side: short side in pixels at which frames are decoded for these models: no more than they look at.
    """

    profile: str
    joint: JointEmbedder
    picture_side: int = 256

    def identities(self) -> dict[str, ModelIdentity]:
        """Channel -> identity of the model behind it, as the manifest records them."""
        return {"joint": self.joint.identity}

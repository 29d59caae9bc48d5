"""What a query asks of each channel: vectors to compare frames with, and words, tags or colours to be found.

The joint space is one channel; captions, speech, on-screen text, tags and colours are others. They are asked apart and
meet only in the curve over a medium's frames (search.fuse), so that each can be shown as evidence by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from data import colors
from data.store.base import Store
from data.types import Color, ImageQuery, Place, Query, Relation, Term, TextChannel, Vectors
from models.base import JointEmbedder, Modality

CHANNEL = "joint"
# Rocchio's weights (1971; the usual .75 and .15), the second a little higher as few dislikes are ever given.
LIKED_WEIGHT, DISLIKED_WEIGHT = 0.75, 0.25
COLOR_WORD_WEIGHT = 0.5  # a colour's own word beside the demand for the colour
# Unwanted words beside wanted ones. Of .25 to 2, over 25 questions with a minus in four libraries and by two models of
# words: mean reciprocal rank .81 and .77, at 1 .79 and .75. Unwanted pictures do as well from .25 to 2.
UNWANTED_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Part:
    """A vector that frames are compared with.

    Attributes:
        channel: its name in the evidence: "words", "picture" or "feedback"; "color" for a colour's own word, which
            only helps to find and to order: whether the colour is there is measured.
        modality: decides how a similarity is read as a probability; None: it is only compared with the library.
        vector: (dim,) float32, unit norm.
        weight: below 0 pushes away.
    """

    channel: str
    modality: Modality | None
    vector: npt.NDArray[np.float32]
    weight: float
    label: str


@dataclass(frozen=True, slots=True)
class Mention:
    """Something to be found in what is known of a moment besides its pictures.

    Attributes:
        channel: "text" (any), "caption", "speech", "screen", "tag", "color".
        demanded: a moment without it is out (with weight < 0: a moment with it).
    """

    term: Term
    channel: str
    demanded: bool

    @property
    def in_texts(self) -> bool:
        return self.channel not in ("tag", "color")

    @property
    def text_channels(self) -> tuple[TextChannel, ...]:
        return () if self.channel == "text" else (self.channel,)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens: all its parts and mentions at the same time.

    Attributes:
        relation: to the event before it; None for the first.
    """

    parts: tuple[Part, ...]
    mentions: tuple[Mention, ...]
    relation: Relation | None = None
    within_s: float | None = None

    def vectors_of(self, term: Term) -> list[npt.NDArray[np.float32]]:
        """Of wanted words that are looked for in what is seen: one, or none."""
        return [part.vector for part in self.parts if part.channel == "words" and part.label == term.text][:1]

    @property
    def demands(self) -> tuple[Mention, ...]:
        return tuple(mention for mention in self.mentions if mention.demanded and mention.term.weight > 0)


def events_of(query: Query, model: JointEmbedder, store: Store, sample: Vectors) -> list[Event]:
    """Everything embedded once, whatever number of stages look at it. sample: (n, dim) frames of the library."""
    first = [*_words(query.terms, model), *_pictures(query.images, model), *_judged(query, store)]
    mentions = _mentions(query.terms)
    if not any(part.weight > 0 for part in first) and not any(mention.term.weight > 0 for mention in mentions):
        first.append(_anything(model, store))
    events = [Event(_apart(first, sample), mentions)]
    for step in query.steps:
        parts = _apart(_words(step.terms, model), sample)
        events.append(Event(parts, _mentions(step.terms), step.relation, step.within_s))
    return events


def _words(terms: Sequence[Term], model: JointEmbedder) -> list[Part]:
    seen = [term for term in terms if term.channel == "all" or (term.channel in ("tag", "color") and term.weight > 0)]
    if not seen:
        return []
    vectors = model.embed_texts([_seen_as(term) for term in seen])
    weights = [term.weight * _share_of(term) for term in seen]
    return [
        Part("color" if term.channel == "color" else "words", "text", vector, weight, term.text)
        for term, vector, weight in zip(seen, vectors, weights, strict=True)
    ]


def _share_of(term: Term) -> float:
    if term.weight < 0:
        return UNWANTED_WEIGHT
    return COLOR_WORD_WEIGHT if term.channel == "color" else 1.0


def _seen_as(term: Term) -> str:
    """An exact colour is embedded as what people call it."""
    color = colors.parse(term.text) if term.channel == "color" else None
    return colors.name_of(color) if isinstance(color, Color) else term.text


def _mentions(terms: Sequence[Term]) -> tuple[Mention, ...]:
    """A wanted sentence is also looked for in all texts; an unwanted one in what describes the picture."""
    out = []
    for term in terms:
        if term.channel != "all":
            out.append(Mention(term, term.channel, demanded=True))
        else:
            out.append(Mention(term, "text" if term.weight > 0 else "caption", demanded=False))
    return tuple(out)


def _pictures(images: Sequence[ImageQuery], model: JointEmbedder) -> list[Part]:
    if not images:
        return []
    vectors = model.embed_images([image.rgb for image in images])
    return [
        Part("picture", "image", vector, image.weight, image.label)
        for image, vector in zip(images, vectors, strict=True)
    ]


def _apart(parts: Sequence[Part], sample: Vectors) -> tuple[Part, ...]:
    """What is unwanted, less what it shares with the wanted: "chair -armchair" must not push chairs away.

    The share is the regression over the library's frames. (The vectors' own projection, as in Widdows 2003, "Orthogonal
    Negation in Vector Spaces", leaves too much: words of a kind lie further apart than the pictures of it.)
    """
    wanted = [part.vector * part.weight for part in parts if part.weight > 0]
    if not wanted or not len(sample):
        return tuple(parts)
    towards = _unit(np.sum(wanted, axis=0))
    there = sample @ towards - (sample @ towards).mean()
    spread = max(float(there @ there), 1e-9)
    return tuple(
        replace(part, modality=None, vector=_unit(part.vector - float(sample @ part.vector @ there) / spread * towards))
        if part.weight < 0
        else part
        for part in parts
    )


def _judged(query: Query, store: Store) -> list[Part]:
    """Rocchio's two centroids; each is its own part because words and pictures do not share a scale of cosines."""
    out = []
    for places, weight, label in (
        (query.liked, LIKED_WEIGHT, "what was liked"),
        (query.disliked, -DISLIKED_WEIGHT, "what was not"),
    ):
        vectors = [vector for place in places if (vector := _vector_at(place, store)) is not None]
        if vectors:
            out.append(Part("feedback", None, _unit(np.mean(vectors, axis=0)), weight, label))
    return out


def _vector_at(place: Place, store: Store) -> npt.NDArray[np.float32] | None:
    """Of the frame on screen at that second; None when the medium has gone."""
    frames = store.frame_vectors(CHANNEL, place.media_id)
    if not len(frames.times_s):
        return None
    row = 0 if place.time_s is None else int(np.searchsorted(frames.times_s, place.time_s + 1e-6, side="right")) - 1
    return frames.vectors[max(row, 0)]


def _anything(model: JointEmbedder, store: Store) -> Part:
    """Only bounds were given: the most typical frame of each medium."""
    vectors = store.sample_vectors(CHANNEL, 256)
    vector = vectors.mean(axis=0) if len(vectors) else np.ones(model.identity.dim, np.float32)
    return Part("any", None, _unit(vector), 1.0, "within the bounds")


def _unit(vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return (vector / max(float(np.linalg.norm(vector)), 1e-9)).astype(np.float32)

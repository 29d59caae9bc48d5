"""The protocols every backend answers to. Vectors are float32 rows of unit L2 norm, compared by dot product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from data.types import Box, Kind, Pixels, Tag, TextSpan, Vectors

Modality = Literal["text", "image"]


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What a library's manifest records of a model; two libraries compare only when these are equal.

    Attributes:
        name: stable id, for example "lite/clip-vit-b16-int8".
        revision: changes whenever the same picture may give another vector (weights sha256 prefix).
        words_revision: of the text side where it has one of its own: changes whenever the same text may give another
            vector. No part of what a library is made with: its pictures' vectors stay good.
        dim: vector length.
        metric: "cosine" throughout.
        preprocessing: short stable description of how pixels become input ("squash224-bicubic").
    """

    name: str
    revision: str
    dim: int
    metric: str = "cosine"
    preprocessing: str = ""
    words_revision: str = ""

    @property
    def of_words(self) -> str:
        """What vectors of texts depend on: name, revision and words_revision."""
        return f"{self.name}@{self.revision}" + (f"-{self.words_revision}" if self.words_revision else "")

    def as_dict(self) -> dict[str, Any]:
        """What pictures' vectors depend on, as a manifest records it."""
        return {key: value for key, value in asdict(self).items() if key != "words_revision"}


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
class Clip:
    """What a vision-language model is shown of one medium: pictures, in order, each with its presentation time.

    Attributes:
        frames: display-oriented pictures of one size; at least one.
        times_s: one PTS-true time a frame, rising; empty for a still.
        start_s, end_s: the segment [start_s, end_s) that the frames stand for; None for a still.
        kind: decides the words of the prompt and how many frames are kept.
        media_id: content hash; "" when unknown, then nothing is cached.
        transcript: what is heard in the segment, untrusted; "" when nothing.
    """

    frames: tuple[Pixels, ...]
    times_s: tuple[float, ...] = ()
    start_s: float | None = None
    end_s: float | None = None
    kind: Kind = "video"
    media_id: str = ""
    transcript: str = ""


@dataclass(frozen=True, slots=True)
class CaptionEvent:
    """One thing that happens in [start_s, end_s)."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Caption:
    """What a model says of a clip; every string is untrusted text.

    Attributes:
        text: one sentence on the whole clip; "" when failed.
        events: sorted by start, inside the clip's segment; empty for stills.
        language: BCP 47 code that was asked for ("en", "zh").
        model, prompt: who said it and on which words: "id@revision" and "name@digest".
        failed: why there is no caption ("" when there is one). A failed caption holds nothing made up.
    """

    text: str
    events: tuple[CaptionEvent, ...] = ()
    objects: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    on_screen_text: tuple[str, ...] = ()
    setting: str = ""
    mood: str = ""
    language: str = "en"
    model: str = ""
    prompt: str = ""
    failed: str = ""


class Captioner(Protocol):
    @property
    def revision(self) -> str:
        """ "id@revision" of the model."""
        ...

    def prompt_id(self, clip: Clip) -> str:
        """ "name@digest" of the prompt that a clip is captioned with."""
        ...

    def caption(self, clips: Sequence[Clip], language: str = "en") -> list[Caption]:
        """One caption a clip, in order. A clip that cannot be captioned gives a Caption with `failed` set."""
        ...


@dataclass(frozen=True, slots=True)
class RerankScore:
    """The second look at one candidate.

    Attributes:
        score: probability in [0, 1] that the clip answers the query; the product of the criteria when it was split.
        criteria: (words, probability) a criterion, in the query's order; empty when the query was not split.
        judged: False when the time budget ended before this clip was looked at; its score is then 0 and the
            caller keeps its old order.
    """

    score: float
    criteria: tuple[tuple[str, float], ...] = ()
    judged: bool = True


class Reranker(Protocol):
    def rerank(
        self, query: str, clips: Sequence[Clip], *, criteria: Sequence[str] = (), budget_s: float | None = None
    ) -> list[RerankScore]:
        """One score a clip, in the clips' order (best candidates first, so that the budget is spent on them)."""
        ...


@dataclass(frozen=True, slots=True)
class Grounding:
    """When something happens: [start_s, end_s) and the second to open, start_s <= peak_s < end_s."""

    start_s: float
    end_s: float
    peak_s: float


class Grounder(Protocol):
    def when(self, query: str, clip: Clip) -> tuple[Grounding, ...]:
        """The stretches of the clip where the query holds, in time order; empty when it does not."""
        ...

    def where(self, query: str, picture: Pixels) -> tuple[Box, ...]:
        """The boxes of what the words name, in the picture's pixels; empty when it is not there."""
        ...


@dataclass(frozen=True, slots=True)
class Citation:
    """The stretch of a medium that an answer rests on. Stills have None times."""

    media_id: str
    start_s: float | None
    end_s: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """text: the answer (untrusted), or why there is none; answered: the clips hold the answer."""

    text: str
    answered: bool
    citations: tuple[Citation, ...] = ()


class Answerer(Protocol):
    def answer(self, question: str, clips: Sequence[Clip], language: str = "en") -> Answer:
        """Answers from the clips alone and says on which seconds it rests; answered=False when they do not tell."""
        ...


class Writer(Protocol):
    """A language model asked in words alone: what chapters and summaries are written with."""

    @property
    def revision(self) -> str:
        """ "id@revision": changes whenever the same words may be answered otherwise."""
        ...

    def write(self, system: str, text: str, *, most_tokens: int, schema: Mapping[str, Any] | None = None) -> str:
        """The answer to one turn, at temperature 0.

        Args:
            system: what is asked, ours. text: what it is asked of; may hold untrusted words.
            schema: JSON schema of the wanted answer, for backends that can hold a model to one; the caller parses and
                checks the answer all the same.

        Raises:
            ModelError: the model cannot be had or gave no answer.
        """
        ...


SPEECH_RATE_HZ = 16_000


class Transcriber(Protocol):
    @property
    def revision(self) -> str:
        """ "id@revision", noted with what it wrote."""
        ...

    def transcribe(
        self, samples: npt.NDArray[np.float32], *, start_s: float = 0.0, language: str | None = None
    ) -> list[TextSpan]:
        """(n,) mono float32 in [-1, 1] at SPEECH_RATE_HZ -> sentences ("speech") with their words' times.

        Args:
            start_s: presentation time of the first sample; all times come back on that timeline.
            language: None: detected. Silence gives an empty list, never made-up words.
        """
        ...


@dataclass(frozen=True, slots=True)
class WrittenLine:
    """One line read in a picture. confidence in [0, 1]; text is untrusted."""

    text: str
    box: Box
    confidence: float


class TextReader(Protocol):
    @property
    def revision(self) -> str: ...

    def read(self, picture: Pixels) -> list[WrittenLine]:
        """Lines from top to bottom, boxes in the picture's pixels."""
        ...


class Tagger(Protocol):
    @property
    def revision(self) -> str: ...

    def tags(self, vectors: Vectors, most: int = 8) -> list[tuple[Tag, ...]]:
        """(n, dim) joint image vectors -> tags of each, likeliest first; none when nothing fits."""
        ...


@dataclass(frozen=True, slots=True)
class ModelSet:
    """What a profile brings. Parts it does not have are None and the stages that need them are left out.

    Parts whose packages or weights may be missing are loaded at their first use and then raise MissingExtra or
    WeightsUnavailable.

    Attributes:
        picture_side: short side in pixels at which frames are decoded for these models: no more than they look at.
    """

    profile: str
    joint: JointEmbedder
    picture_side: int = 256
    captioner: Captioner | None = None
    reranker: Reranker | None = None
    grounder: Grounder | None = None
    answerer: Answerer | None = None
    writer: Writer | None = None
    transcriber: Transcriber | None = None
    text_reader: TextReader | None = None
    tagger: Tagger | None = None

    def identities(self) -> dict[str, ModelIdentity]:
        """Channel -> identity of the model behind it, as the manifest records them."""
        return {"joint": self.joint.identity}

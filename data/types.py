"""The values that cross seams: small, frozen, typed, with units in their names.

Times are float seconds of the presentation timeline: (PTS - start PTS) x time base, never an index over a rate.
Intervals are half-open [start_s, end_s). Stills have no time: their times are None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from data.store.base import Condition

Kind: TypeAlias = Literal["image", "gif", "video"]
KINDS: tuple[Kind, ...] = ("image", "gif", "video")

Pixels: TypeAlias = npt.NDArray[np.uint8]  # (height, width, 3) RGB, 0..255, display orientation
Vectors: TypeAlias = npt.NDArray[np.float32]  # (n, dim), rows of unit L2 norm


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a probe tells of one file, before any frame is decoded.

    Attributes:
        kind: "gif" is any short animation whose delays come from the file (GIF, APNG, animated WebP/AVIF).
        width, height: display size in pixels: rotation and orientation applied.
        duration_s: length of the presentation timeline; None for stills.
        container, codec: short lower-case names, for example "mov,mp4" and "h264"; codec "" when it does not apply.
        rotation_deg: clockwise turn that was applied to reach the display orientation: 0, 90, 180 or 270.
        frame_rate: average rate as the container claims it, informative only; None when unknown or still.
        has_audio: an audio stream is there.
        captured_at: ISO 8601 time of capture as the file states it, "" when it does not.
        tags: other facts the file states (camera, title, gps ...), as untrusted text.
    """

    kind: Kind
    width: int
    height: int
    duration_s: float | None
    container: str
    codec: str
    rotation_deg: int = 0
    frame_rate: float | None = None
    has_audio: bool = False
    captured_at: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture with its exact place in time.

    Attributes:
        time_s: presentation time; None for a still.
        duration_s: how long it stays on screen; None for a still or when the container does not say.
        rgb: (height, width, 3) uint8, display orientation; None when the frame was only looked at (see `luma`).
        luma: small (h, w) uint8 picture for change detection; None where it was not asked for.
    """

    time_s: float | None
    duration_s: float | None
    rgb: Pixels | None
    luma: npt.NDArray[np.uint8] | None = None


FieldValue: TypeAlias = str | float | bool


@dataclass(frozen=True, slots=True)
class MediaItem:
    """One distinct content in the library, whatever number of paths it has.

    Attributes:
        media_id: content hash (blake2b-160, hex) of the file's bytes.
        path: absolute path of one present copy.
        fields: what its owner says of it (price, category, ...), typed; untrusted text.
        copies: the other paths of the very same bytes.
    """

    media_id: str
    path: Path
    info: MediaInfo
    size_bytes: int = 0
    fields: dict[str, FieldValue] = field(default_factory=dict)
    copies: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Color:
    """A dominant colour: sRGB 0..255, and the share of the picture (0..1) that is near it."""

    red: int
    green: int
    blue: int
    share: float


@dataclass(frozen=True, slots=True)
class Tag:
    """A name of the open vocabulary, in English, and the probability that it fits."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch [start_s, end_s) of one medium between shot boundaries. Stills have one segment with None times.

    Attributes:
        tags: likeliest first. colors: largest share first.
    """

    media_id: str
    index: int
    start_s: float | None
    end_s: float | None
    tags: tuple[Tag, ...] = ()
    colors: tuple[Color, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in display pixels of a picture: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int


TextChannel: TypeAlias = Literal["caption", "speech", "screen"]
TEXT_CHANNELS: tuple[TextChannel, ...] = ("caption", "speech", "screen")


@dataclass(frozen=True, slots=True)
class TimedWord:
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TextSpan:
    """Words tied to a stretch [start_s, end_s) of one medium. All of it is untrusted text.

    Attributes:
        channel: "caption": what a model sees; "speech": what is heard; "screen": what is written in the picture.
        start_s, end_s: None for a still.
        language: BCP 47 code, "" when unknown.
        box: where it is written, in display pixels; "screen" only.
        words: each word with its own time, where they are known; "speech" only.
        source: who says so: a model's "id@revision", "sidecar" or "embedded" for subtitles.
    """

    channel: TextChannel
    text: str
    start_s: float | None
    end_s: float | None
    language: str = ""
    box: Box | None = None
    words: tuple[TimedWord, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """A picture to search by. weight < 0 pushes away."""

    rgb: Pixels
    label: str = "image"
    weight: float = 1.0


TermChannel: TypeAlias = Literal["all", "text", "caption", "speech", "screen", "tag", "color"]


@dataclass(frozen=True, slots=True)
class Term:
    """Words that are asked for together.

    Attributes:
        channel: where they are looked for. "all": in what is seen and in all texts; what is said or written adds to
            it. "text": in any of the texts. Every other channel than "all" is a demand: a moment without it is out.
        weight: below 0 they are unwanted.
        phrase: they stand together, in this order; texts only.
    """

    text: str
    channel: TermChannel = "all"
    weight: float = 1.0
    phrase: bool = False


Relation: TypeAlias = Literal["then", "while"]


@dataclass(frozen=True, slots=True)
class Step:
    """A further event of a query, and how it stands to the one before it.

    Attributes:
        relation: "then": begins after the other one's peak; "while": at the same time.
        within_s: longest time from peak to peak; None: any, as long as it is the same medium.
    """

    terms: tuple[Term, ...]
    relation: Relation
    within_s: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A second of a medium; time_s None for a still."""

    media_id: str
    time_s: float | None


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked, in parts; made by search.query.build. At least one wanted term, image or condition is there.

    Attributes:
        text: the words as they were typed, for people; the search reads the parts.
        terms: of the first event.
        steps: further events, in their order.
        images: pictures, already cropped to their box; they belong to the first event.
        conditions: bounds on facts of the file and on its owner's fields; all must hold.
        kinds: media kinds to return; empty means all.
        k: results wanted (>= 1).
        group_by: a field of which each value gives one result, its best; "" for none.
        liked, disliked: moments that a person judged; they draw the query nearer and push it away; what is disliked is
            left out itself.
        color_weight: how much the colours of the query pictures count beside what they show; 0: not at all.
        exclude_media_id: content never returned: a query picture does not retrieve itself.
        exclude_at_s: with it, only the moment of that content round this second is left out, not the whole of it.
    """

    text: str = ""
    terms: tuple[Term, ...] = ()
    steps: tuple[Step, ...] = ()
    images: tuple[ImageQuery, ...] = ()
    conditions: tuple[Condition, ...] = ()
    kinds: tuple[Kind, ...] = ()
    k: int = 10
    group_by: str = ""
    liked: tuple[Place, ...] = ()
    disliked: tuple[Place, ...] = ()
    color_weight: float = 0.0
    exclude_media_id: str | None = None
    exclude_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One row a channel retrieved. score: that channel's own similarity (cosine for vectors)."""

    media_id: str
    time_s: float | None
    channel: str
    score: float


@dataclass(frozen=True, slots=True)
class TextHit:
    """One span that words were found in. score: BM25, comparable within one call only."""

    media_id: str
    span: TextSpan
    score: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a moment was returned.

    Attributes:
        channel: "words" (text against frames), "picture" (image against frames), "caption", "meaning" (a caption by its
            vector), "speech", "screen", "tag", "color", "feedback".
        rank: 1-based rank of this moment in that channel, among those returned.
        score: the channel's own measure: cosine, share of the words found, probability of a tag, share of a colour.
        time_s: the second it rests on: a frame's, a word's; None for a still.
        detail: short human sentence.
        words: what of the question was found there; untrusted text.
        box: the part of a still that it rests on; None for the whole of it.
    """

    channel: str
    rank: int
    score: float
    time_s: float | None
    detail: str = ""
    words: tuple[str, ...] = ()
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """An answer: a stretch of one medium and the second to open.

    Attributes:
        start_s, peak_s, end_s: all None for a still, otherwise start_s <= peak_s < end_s.
        score: calibrated probability in [0, 1] that this matches the query.
        same: further files that show the same thing here (copies, re-encodes), folded into this one.
    """

    media: MediaItem
    start_s: float | None
    peak_s: float | None
    end_s: float | None
    score: float
    evidence: tuple[Evidence, ...] = ()
    same: tuple[MediaItem, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchResponse:
    """moments are best first; no_match says that none of them is likely to be what was asked.

    Attributes:
        matches: how many of the moments are above the cut.
    """

    query: Query
    moments: tuple[Moment, ...]
    no_match: bool
    timing_ms: dict[str, float]
    matches: int = 0

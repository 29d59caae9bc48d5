"""A question, answered from what the library holds, with the seconds that the answer rests on.

What bears on the question is found by its words and by its pictures; a model is shown those clips, with what is heard,
written and described there, and must say on which of them its answer rests. A citation of anything that was not shown
is dropped, and an answer without one is no answer. Without a model, the library's own sentences are quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from data.errors import UsageError
from data.types import MediaItem, Moment, Query, Term
from models.base import Answerer, Citation, Clip
from search import quotes
from search.engine import SearchEngine
from search.localise import clip_of
from search.query import LONGEST_TEXT
from search.quotes import Quote
from search.scope import Scope

WHOLE_S = 60.0  # what is no longer is shown whole, without a search
MOST_CLIPS = 6
AROUND_S = 6.0  # shown before and after a sentence or a moment
LONGEST_CLIP_S = 30.0
CLIP_FPS, GIF_FPS, CLIP_FRAMES, WHOLE_FRAMES = 2.0, 5.0, 24, 64
CLIP_SIDE = 448
MOST_TOLD = 1_800  # characters of speech, writing and captions shown with a clip
SLACK_S = 0.5  # a citation may end so much outside of the clip: times are shown to a tenth
LEAST_SCORE = 0.5
_HAN = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Source:
    """A stretch of a medium and, where it is a sentence, its words (untrusted text).

    Attributes:
        start_s, end_s: None for a still.
        at_s: the second to open; None for a still.
        channel: "speech", "screen" or "caption" of a quote; "" of a stretch that a model cited or that was only found.
    """

    item: MediaItem
    start_s: float | None
    end_s: float | None
    at_s: float | None
    quote: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the library says to a question.

    Attributes:
        text: the answer, or why there is none; untrusted text.
        answered: the library holds the answer.
        by_model: a model wrote the text; otherwise the sources are quotes.
        sources: what the answer rests on, best first. Without an answer: what looks nearest, if anything does.
        shown: how many clips the model was shown.
    """

    question: str
    text: str
    answered: bool
    by_model: bool
    sources: tuple[Source, ...] = ()
    shown: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """A question with all that a model is shown of the library to answer it; needs the library no more.

    Attributes:
        clips: best first. items: media_id -> the medium, of each clip.
    """

    text: str
    chinese: bool
    clips: tuple[Clip, ...]
    items: Mapping[str, MediaItem]


def ask(
    engine: SearchEngine, question: str, *, answerer: Answerer | None, scope: Scope | None = None, language: str = ""
) -> Reply:
    """
    Args:
        answerer: None: the answer is made of quotes.
        scope: where to look; None: everywhere. See `search.scope.scope_of`.
        language: of the answer, "en" or "zh"; "": that of the question.

    Raises:
        UsageError: no question, or one that is too long. ModelError: the model cannot be had.
    """
    if answerer is None:
        return quoted(engine, question, scope, language)
    return answered(prepared(engine, question, scope, language), answerer)


def quoted(engine: SearchEngine, question: str, scope: Scope | None = None, language: str = "") -> Reply:
    """The library's own sentences; where none bears on the question, what looks nearest. See `ask`."""
    question, chinese = _checked(question, language)
    scope = scope or Scope()
    found = quotes.find(engine.store, question, scope)
    media = {item.media_id: item for item in engine.store.media([quote.media_id for quote in found])}
    sources = tuple(
        Source(media[quote.media_id], span.start_s, span.end_s, span.start_s, span.text, span.channel)
        for quote, span in ((quote, quote.span) for quote in found)
        if quote.media_id in media
    )
    if sources:
        return Reply(question, _QUOTES[chinese], True, False, sources)
    nearest = [moment for moment in _moments(engine, question, scope, 5) if moment.score >= LEAST_SCORE]
    sources = tuple(Source(moment.media, moment.start_s, moment.end_s, moment.peak_s) for moment in nearest)
    return Reply(question, (_NEAREST if sources else _NONE)[chinese], False, False, sources)


def prepared(engine: SearchEngine, question: str, scope: Scope | None = None, language: str = "") -> Question:
    """What bears on the question, found and decoded. See `ask`."""
    question, chinese = _checked(question, language)
    clips, items = _clips(engine, question, scope or Scope())
    return Question(question, chinese, tuple(clips), items)


def answered(question: Question, answerer: Answerer) -> Reply:
    """The model's answer, held to what it was shown."""
    answer = answerer.answer(question.text, question.clips, "zh" if question.chinese else "en")
    sources: list[Source] = []
    for citation in answer.citations:
        source = _source(citation, question.clips, question.items)
        if source is not None and source not in sources:
            sources.append(source)
    if answer.answered and sources:
        return Reply(question.text, answer.text, True, True, tuple(sources), len(question.clips))
    text = answer.text if not answer.answered and answer.text else _NONE[question.chinese]
    return Reply(question.text, text, False, True, shown=len(question.clips))


def _checked(question: str, language: str) -> tuple[str, bool]:
    """(the question on one line, whether to answer in Chinese)."""
    question = " ".join(question.split())
    if not question:
        raise UsageError("Nothing was asked.", remedy='Write a question: secondsight ask "what is on the table?"')
    if len(question) > LONGEST_TEXT:
        raise UsageError(f"The question has {len(question)} characters.", remedy=f"Keep it under {LONGEST_TEXT}.")
    return question, (language or ("zh" if _HAN.search(question) else "en")) == "zh"


_NONE = ("The library does not seem to hold the answer.", "资料库里似乎没有答案。")
_NEAREST = (
    "No sentence of this library answers that. What looks nearest is below.",
    "资料库里没有能回答的句子；看起来最接近的如下。",
)
_QUOTES = ("In the library's own words:", "资料库中的原话：")


def _moments(engine: SearchEngine, question: str, scope: Scope, k: int) -> list[Moment]:
    """By the subject of the question; as plain words, for a question is not the query language."""
    words = quotes.subject(question)
    many = k if scope.item is None or scope.start_s is None else 10 * k
    found = engine.search(Query(text=words, terms=(Term(words),), conditions=scope.conditions, k=many))
    return [one for one in found.moments if scope.holds(one.media.media_id, one.start_s, one.end_s)][:k]


def _clips(engine: SearchEngine, question: str, scope: Scope) -> tuple[list[Clip], dict[str, MediaItem]]:
    """What the model is shown, best first, and the media that it is of."""
    clips: list[Clip] = []
    items: dict[str, MediaItem] = {}
    whole = scope.item is not None and (scope.end_s or 0.0) - (scope.start_s or 0.0) <= WHOLE_S
    for moment in _stretches(engine, question, scope):
        clip = clip_of(
            moment,
            GIF_FPS if moment.media.info.kind == "gif" else CLIP_FPS,
            0.0,
            picture_side=CLIP_SIDE,
            max_pixels=engine.settings.max_pixels,
            most=WHOLE_FRAMES if whole else CLIP_FRAMES,
        )
        if clip is None:  # its file is away or damaged; the others may do
            continue
        told = quotes.around(engine.store.texts(moment.media.media_id), moment.start_s, moment.end_s, MOST_TOLD)
        clips.append(replace(clip, transcript=told))
        items[moment.media.media_id] = moment.media
        if len(clips) == MOST_CLIPS:
            break
    return clips, items


def _stretches(engine: SearchEngine, question: str, scope: Scope) -> Iterator[Moment]:
    """Stretches worth showing, best first, none inside another: a sentence and a moment in turn."""
    if scope.item is not None and (scope.end_s or 0.0) - (scope.start_s or 0.0) <= WHOLE_S:
        yield Moment(scope.item, scope.start_s, scope.start_s, scope.end_s, 1.0)
        return
    said = quotes.find(engine.store, question, scope, MOST_CLIPS)
    media = {item.media_id: item for item in engine.store.media([quote.media_id for quote in said])}
    by_words = [_about(media[quote.media_id], quote) for quote in said if quote.media_id in media]
    by_sight = _moments(engine, question, scope, MOST_CLIPS)
    shown: list[Moment] = []
    for one in _in_turn(by_words, by_sight):
        wide = _widened(one, scope)
        if not any(_inside(one, other) for other in shown):
            shown.append(wide)
            yield wide
    if not shown and scope.item is not None:
        yield Moment(scope.item, scope.start_s, scope.start_s, scope.end_s, 0.0)


def _about(item: MediaItem, quote: Quote) -> Moment:
    return Moment(item, quote.span.start_s, quote.span.start_s, quote.span.end_s, quote.share)


def _in_turn(one: Sequence[Moment], other: Sequence[Moment]) -> Iterator[Moment]:
    for place in range(max(len(one), len(other))):
        yield from one[place : place + 1]
        yield from other[place : place + 1]


def _widened(moment: Moment, scope: Scope) -> Moment:
    """With what stands around it, at most LONGEST_CLIP_S, inside the scope."""
    if moment.start_s is None or moment.end_s is None or moment.peak_s is None:
        return moment
    first_s = max(scope.start_s or 0.0, moment.start_s - AROUND_S, moment.peak_s - LONGEST_CLIP_S / 2)
    ends = [moment.end_s + AROUND_S, first_s + LONGEST_CLIP_S, scope.end_s, moment.media.info.duration_s]
    last_s = min(end_s for end_s in ends if end_s is not None)
    return replace(moment, start_s=first_s, peak_s=min(max(moment.peak_s, first_s), last_s), end_s=last_s)


def _inside(moment: Moment, other: Moment) -> bool:
    if moment.media.media_id != other.media.media_id:
        return False
    if moment.peak_s is None or other.start_s is None or other.end_s is None:
        return True
    return other.start_s <= moment.peak_s < other.end_s


def _source(citation: Citation, clips: Sequence[Clip], items: Mapping[str, MediaItem]) -> Source | None:
    """None for what was not shown, whoever says that it was."""
    for clip in clips:
        if clip.media_id != citation.media_id:
            continue
        if clip.start_s is None or clip.end_s is None:
            return Source(items[clip.media_id], None, None, None)
        start_s, end_s = citation.start_s, citation.end_s
        if start_s is None or end_s is None or start_s > end_s:
            continue
        if start_s >= clip.start_s - SLACK_S and end_s <= clip.end_s + SLACK_S:
            start_s = max(start_s, clip.start_s)
            return Source(items[clip.media_id], start_s, min(end_s, clip.end_s), start_s)
    return None

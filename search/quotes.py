"""Sentences of a library that bear on a question: what is said, written or described, word for word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from data.store.base import Filter, Store
from data.types import TextSpan
from search import words
from search.scope import Scope

LEAST_SHARE = 0.5  # of the question's content words that a sentence must hold
_LOOKED_AT = 100
# Words that make a question a question; what is asked about are the others.
_ASKING_WORDS = """
a about am an and any anyone anything are at be been being can could describe did do does doing done ever explain for
from give had happen happened happens happening has have he her hers him his how i in is it its list long many me
mention mentioned much my name of on or our please said saw say saying says see seen she show shown shows so some
somebody someone something speak talk talked talking talks tell that the their them there these they thing things this
those to video videos film films clip clips picture pictures image images photo photos gif was we were what when where
which who whom whose why will with would you your
"""
_ASKING = frozenset(_ASKING_WORDS.split())
_ASKING_ZH = re.compile(
    "请问|请|什么时候|为什么|什么|怎么样|怎么|怎样|如何|多少|几个|哪里|哪儿|哪个|哪些|哪|谁|是否|有没有|是不是|关于|提到|谈到|说到|说了|说过|"
    "视频|影片|图片|照片|里面|中的|他们|她们|它们|我们|你们|吗|呢|吧|啊|的|了|他|她|它|我|你"
)


@dataclass(frozen=True, slots=True)
class Quote:
    """share: of the question's content words that stand in the span; score: BM25, comparable within one call."""

    media_id: str
    span: TextSpan
    share: float
    score: float


def subject(question: str) -> str:
    """What a question is about: its words without those that only ask; all of them where nothing else is left.

    >>> subject("What did he say about the price?"), subject("他说了什么关于价格的话?")
    ('price', '价格 话')
    """
    pieces = re.findall(r"[\w'’-]+", _ASKING_ZH.sub(" ", question))
    kept = [piece for piece in pieces if piece.casefold() not in _ASKING]
    return " ".join(kept) or question.strip(" ?？!！.。")


def find(store: Store, question: str, scope: Scope, most: int = 5) -> list[Quote]:
    """The sentences that hold most of what is asked about, best first; none where nothing does.

    Of what is told twice of one stretch (a caption and its events) the better is taken.
    """
    asked = subject(question)
    ids = () if scope.item is None else (scope.item.media_id,)
    found = []
    for hit in store.search_texts(asked, _LOOKED_AT, Filter(media_ids=ids, conditions=scope.conditions)):
        share, _ = words.found(asked, hit.span.text)
        if share >= LEAST_SHARE and scope.holds(hit.media_id, hit.span.start_s, hit.span.end_s):
            found.append(Quote(hit.media_id, hit.span, share, hit.score))
    found.sort(key=lambda quote: (-quote.share, -quote.score))
    out: list[Quote] = []
    for quote in found:
        if len(out) < most and not any(_says_the_same(quote, other) for other in out):
            out.append(quote)
    return out


def around(spans: Sequence[TextSpan], start_s: float | None, end_s: float | None, most_chars: int) -> str:
    """What is told of a stretch, in order of time, each with its second; those nearest its middle where all are too
    many."""
    if start_s is None or end_s is None:
        near = list(spans)
    else:
        middle_s = (start_s + end_s) / 2
        near = [s for s in spans if s.start_s is None or (s.start_s < end_s and (s.end_s or s.start_s) > start_s)]
        near.sort(key=lambda span: (span.channel == "caption", abs((span.start_s or 0.0) - middle_s)))
    chosen: list[tuple[float, str]] = []
    left = most_chars
    for span in near:
        at = "" if span.start_s is None else f"{span.start_s:.1f} s, "
        line = f"[{at}{_CHANNELS[span.channel]}] {' '.join(span.text.split())}"
        if len(line) < left:
            chosen.append((span.start_s or 0.0, line))
            left -= len(line) + 1
    return " ".join(line for _, line in sorted(chosen, key=lambda pair: pair[0]))


_CHANNELS = {"speech": "heard", "screen": "written", "caption": "described"}


def _says_the_same(one: Quote, other: Quote) -> bool:
    if one.media_id != other.media_id:
        return False
    if one.span.text == other.span.text:
        return True
    if one.span.channel != other.span.channel:
        return False
    if one.span.start_s is None or other.span.start_s is None:
        return True
    return one.span.start_s < (other.span.end_s or 0.0) and (one.span.end_s or 0.0) > other.span.start_s

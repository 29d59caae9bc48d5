"""The query language: one line of text -> its parts. Pure; docs/search.md shows it by examples, each of them tested.

A sentence is a query as it stands. Signs mean something only where they stand apart: a minus before a word, quotes
round words, `name:value`, `name<value`, `word^2`, and the words then, before and while between two events. Hyphens
inside words, apostrophes, clock times and colons followed by a space are plain text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data import colors
from data.errors import QuerySyntaxError
from data.store.base import Condition, Operator
from data.types import KINDS, FieldValue, Kind, Relation, Step, Term, TermChannel

THEN_WITHIN_S = 60.0  # what "then" means when no time is given; "before" has no bound
MOST_WEIGHT = 10.0

_CHANNELS: dict[str, TermChannel] = {
    "said": "speech", "text": "screen", "caption": "caption", "tag": "tag", "color": "color", "colour": "color",
}  # fmt: skip
_NAMES = {*_CHANNELS, "kind", "path", "in", "after", "before", "camera", "image", "near"}
_CLOSE = {'"': '"', "“": "”"}
_TOKEN = re.compile(r"\S+")
_NAMED = re.compile(r"([A-Za-z_][\w.]*)(:(?!//)|<=|>=|!=|<|>|=)")
_CONNECTORS = {"then": "then", "before": "then", "while": "while"}
_WITHIN = re.compile(
    r"(?:^|\s)within\s+(\d+(?:\.\d+)?)\s*(s|secs?|seconds?|m|min|minutes?|h|hours?)?\s*$", re.IGNORECASE
)
_UNIT_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_UNIT_BYTES = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12}
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}(:\d{2}(:\d{2})?)?)?)?)?")
_KM_A_DEGREE = 111.2  # of latitude
_SIZES = {"duration": "duration_s", "width": "width", "height": "height", "size": "size_bytes"}


@dataclass(frozen=True, slots=True)
class Reference:
    """A picture named in the text, not opened yet. name: "FILE" or "FILE@SECONDS"."""

    name: str
    weight: float
    position: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """The parts of one line; see data.types.Query."""

    terms: tuple[Term, ...]
    steps: tuple[Step, ...]
    images: tuple[Reference, ...]
    conditions: tuple[Condition, ...]
    kinds: tuple[Kind, ...]


@dataclass(slots=True)
class _Token:
    """A piece between spaces, its signs taken apart.

    Attributes:
        value: the text without its signs. name, op: of `name:value` (op ":") and `name<value`. quoted: in quotes.
    """

    position: int
    value: str
    minus: bool = False
    name: str = ""
    op: str = ""
    quoted: bool = False
    weight: float = 1.0
    weighted: bool = False

    @property
    def is_word(self) -> bool:
        return not (self.minus or self.name or self.quoted or self.weighted)


def parse(text: str, fields: Mapping[str, type] | None = None, kinds: Sequence[Kind] = ()) -> Parsed:
    """What a line asks for.

    Args:
        fields: the owner's fields in the library and their types (str, float or bool); None: not known, then any name
            is taken for one and its value read as what it looks like.
        kinds: named beside the line.

    Raises:
        QuerySyntaxError: points at the first character that cannot be meant.
    """
    events: list[tuple[str, int, list[_Token]]] = [("", 0, [])]
    tokens = _tokens(text)
    for place, token in enumerate(tokens):
        connector = _CONNECTORS.get(token.value.casefold().rstrip(",")) if token.is_word else None
        if connector and events[-1][2] and _says(events[-1][2]) and _says(tokens[place + 1 :]):
            events.append((token.value.casefold().rstrip(","), token.position, []))
        else:
            events[-1][2].append(token)
    reader = _Reader(text, fields)
    terms: tuple[Term, ...] = ()
    steps: list[Step] = []
    for number, (connector, _, mine) in enumerate(events):
        followed = number + 1 < len(events)
        words, within_s = _event_words(mine, first=number == 0, followed=followed)
        found = reader.terms(mine, words)
        if number == 0:
            terms = found
            continue
        relation: Relation = "while" if connector == "while" else "then"
        if within_s is None and connector == "then":
            within_s = THEN_WITHIN_S
        steps.append(Step(found, relation, within_s))
    return Parsed(terms, tuple(steps), tuple(reader.images), tuple(reader.conditions), reader.kinds_left(kinds))


def limits(text: str) -> list[tuple[int, int]]:
    """Where the pieces stand that narrow what may be found (kind:gif, in:trips, price<5, said:hello), as [start, end).

    Raises:
        QuerySyntaxError: as parse.
    """
    out: list[tuple[int, int]] = []
    at = 0
    while match := _TOKEN.search(text, at):
        token, at = _token(text, match.start(), match.end())
        if token.name and token.name != "image":
            out.append((token.position, at))
    return out


def _says(tokens: list[_Token]) -> bool:
    """There is something to look for among these."""
    return any(
        (token.is_word and token.value.strip(",").casefold() not in {"and", *_CONNECTORS})
        or (not token.minus and (token.quoted or token.weighted or token.name in _CHANNELS))
        for token in tokens
    )


def _event_words(tokens: list[_Token], *, first: bool, followed: bool) -> tuple[str, float | None]:
    """The plain words of one event as a sentence, and its "within"."""
    words = " ".join(token.value for token in tokens if token.is_word)
    within_s = None
    if not first and (match := _WITHIN.search(words)) and (match.start() > 0 or len(tokens) > words.count(" ") + 1):
        within_s = float(match[1]) * _UNIT_S[(match[2] or "")[:1].casefold()]
        words = words[: match.start()]
    words = words.strip()
    if followed:  # "a, and then b"
        words = re.sub(r"[\s,;]+and$|[,;]+$", "", words, flags=re.IGNORECASE).strip()
    return words, within_s


def _tokens(text: str) -> list[_Token]:
    out: list[_Token] = []
    at = 0
    while match := _TOKEN.search(text, at):
        token, at = _token(text, match.start(), match.end())
        out.append(token)
    return out


def _token(text: str, start: int, end: int) -> tuple[_Token, int]:
    """The token that begins at `start`, and where the next may begin."""
    token, at = _Token(start, text[start:end]), start
    if text[at] == "-" and end - at > 1 and not text[at + 1].isdigit() and text[at + 1] != "-":
        token.minus, at = True, at + 1
    if named := _NAMED.match(text, at, end):
        is_last = not text[end:].strip()
        if named.end() < end:
            token.name, token.op, at = named[1].casefold(), named[2], named.end()
        elif named[2] != ":" or (is_last and named[1].casefold() in _NAMES):
            raise QuerySyntaxError(
                f"Nothing stands behind {named[0]!r}", query=text, position=end - 1,
                remedy=f"Write a value right after it, as in {named[0]}{'20' if named[2] in '<=>=' else 'word'}.",
            )  # fmt: skip
    token.value = text[at:end]
    takes_weight = not token.name or token.name in _CHANNELS or token.name == "image"
    if text[at] in _CLOSE:
        close = text.find(_CLOSE[text[at]], at + 1)
        if close < 0:
            raise QuerySyntaxError(
                "This quote is never closed", query=text, position=at, remedy="Close it, or drop it."
            )
        token.quoted, token.value, end = True, " ".join(text[at + 1 : close].split()), close + 1
        if not token.value:
            raise QuerySyntaxError(
                "These quotes are empty", query=text, position=at, remedy="Put words in, or drop them."
            )
        if takes_weight and (weight := re.compile(r"\^(\S*)").match(text, end)):
            token.weight, token.weighted, end = _weight(text, end, weight[1]), True, weight.end()
    elif takes_weight and (weight := re.search(r"\^([^\s^]*)$", token.value)) and weight.start() > 0:
        token.weight, token.weighted = _weight(text, at + weight.start(), weight[1]), True
        token.value = token.value[: weight.start()]
    return token, end


def _weight(text: str, position: int, number: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = 0.0
    if not 0 < weight <= MOST_WEIGHT:
        raise QuerySyntaxError(
            f"The weight {number!r} is not a number over 0 up to {MOST_WEIGHT:g}", query=text, position=position,
            remedy="Write it like sofa^2.",
        )  # fmt: skip
    return weight


class _Reader:
    """Collects what tokens mean; terms are given back per event, the rest belongs to the whole query."""

    def __init__(self, text: str, fields: Mapping[str, type] | None) -> None:
        self.text, self.fields = text, fields
        self.images: list[Reference] = []
        self.conditions: list[Condition] = []
        self.kinds: list[Kind] = []
        self.unwanted_kinds: set[Kind] = set()
        self.minus_kind = _Token(0, "")

    def terms(self, tokens: list[_Token], sentence: str) -> tuple[Term, ...]:
        out = [Term(sentence)] if sentence else []
        for token in tokens:
            if token.is_word:
                continue
            weight = -token.weight if token.minus else token.weight
            if not token.name:
                # An unwanted phrase is unwanted in the picture too; a wanted one has to be heard or read.
                only_told = token.quoted and not token.minus
                out.append(Term(token.value, "text" if only_told else "all", weight, token.quoted))
            elif token.op == ":" and token.name in _CHANNELS:
                if _CHANNELS[token.name] == "color" and colors.parse(token.value) is None:
                    told = f"Use one of {', '.join(colors.NAMES)}, or #rrggbb."
                    raise self._wrong(token, f"Unknown colour {token.value!r}", told)
                out.append(Term(token.value, _CHANNELS[token.name], weight, token.quoted))
            elif token.op == ":" and token.name == "image":
                self.images.append(Reference(token.value, weight, token.position))
            elif token.op == ":" and token.name == "kind":
                self._kinds(token)
            elif token.op == ":" and token.name == "near":
                self.conditions.extend(self._near(token))
            else:
                self.conditions.append(self._condition(token))
        return tuple(out)

    def _kinds(self, token: _Token) -> None:
        named: list[Kind] = []
        for name in re.split(r"[|,]", token.value.casefold()):
            kind = next((kind for kind in KINDS if kind == name), None)
            if kind is None:
                raise self._wrong(token, f"Unknown kind {name!r}", f"Use one of: {', '.join(KINDS)}.")
            named.append(kind)
        if token.minus:
            self.unwanted_kinds.update(named)
            self.minus_kind = token
        else:
            self.kinds.extend(named)

    def kinds_left(self, given: Sequence[Kind]) -> tuple[Kind, ...]:
        """The kinds named, less the unwanted; empty: no bound."""
        named = dict.fromkeys((*self.kinds, *given))
        if not self.unwanted_kinds:
            return tuple(named)
        left = tuple(kind for kind in named or KINDS if kind not in self.unwanted_kinds)
        if not left:
            raise self._wrong(self.minus_kind, "No kind is left to search", f"Leave one of: {', '.join(KINDS)}.")
        return left

    def _condition(self, token: _Token) -> Condition:
        name, value = token.name, token.value
        if token.op == ":" and name in ("path", "camera", "in"):
            return self._named_file(token)
        if token.op == ":" and name in ("after", "before"):
            if not _DATE.fullmatch(value) or token.minus:
                raise self._wrong(token, f"{value!r} is not a date", "Write it like after:2024-01-31 or before:2024.")
            return Condition("captured_at", ">=" if name == "after" else "<", value)
        op: Operator = "=" if token.op == ":" else token.op  # type: ignore[assignment]
        if token.minus:
            if op != "=":
                raise self._wrong(token, f"A minus before {name}{token.op} has no meaning", "Turn the sign round.")
            op = "!="
        if name in _SIZES and (self.fields is None or name not in self.fields):
            return Condition(_SIZES[name], op, self._measure(token))
        key = name.removeprefix("field.")
        if self.fields is None:
            return Condition(f"field.{key}", op, _guess(value))
        known = {field.casefold(): field for field in self.fields}
        if key not in known:
            has = f"its fields: {', '.join(sorted(self.fields))}" if self.fields else "it has no fields"
            raise self._wrong(
                token,
                f"This library has no field {key!r} ({has})",
                "Put a space after the sign to look for the words.",
                at_name=True,
            )
        return Condition(f"field.{known[key]}", op, self._typed(token, self.fields[known[key]]))

    def _near(self, token: _Token) -> list[Condition]:
        """A square round a place on the globe, its sides 2 km long unless said."""
        match = re.fullmatch(r"(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?)(?:km)?)?", token.value.casefold())
        if match is None or abs(float(match[1])) > 90 or abs(float(match[2])) > 180 or token.minus:
            raise self._wrong(
                token, f"{token.value!r} is no place", "Write it like near:48.858,2.294 or near:48.9,2.3,10km."
            )
        latitude, longitude, reach_km = float(match[1]), float(match[2]), float(match[3] or 1)
        up = reach_km / _KM_A_DEGREE
        bounds = [Condition("latitude", ">=", latitude - up), Condition("latitude", "<=", latitude + up)]
        if abs(latitude) + up >= 90:  # round a pole, every longitude is near
            return bounds
        aside = up / math.cos(math.radians(abs(latitude) + up))
        if aside >= 180:
            return bounds
        if abs(longitude) + aside > 180:  # two ranges, of which a medium meets only one: conditions all have to hold
            raise self._wrong(
                token,
                f"near:{token.value} reaches across the 180th meridian",
                "Ask for less far, on either side of it.",
            )
        return [
            *bounds,
            Condition("longitude", ">=", longitude - aside),
            Condition("longitude", "<=", longitude + aside),
        ]

    def _named_file(self, token: _Token) -> Condition:
        if token.minus:
            raise self._wrong(token, f"{token.name}: cannot be turned round", "Say what is wanted instead.")
        if token.name != "in":
            return Condition(token.name, "contains", token.value)
        from pathlib import Path

        folder = Path(token.value).expanduser()
        if folder.is_absolute():
            return Condition("path", "under", str(folder))
        return Condition("path", "contains", f"/{token.value.strip('/')}/")

    def _measure(self, token: _Token) -> float:
        value, name = token.value.casefold(), token.name
        units = {"duration": _UNIT_S, "size": _UNIT_BYTES}.get(name, {"": 1.0, "px": 1.0})
        if name == "duration" and (clock := re.fullmatch(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", value)):
            return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]*)", value)
        if match is None or match[2] not in units:
            told = {"duration": "duration<60, duration>5m or duration<1:30", "size": "size<10MB"}.get(
                name, f"{name}>640"
            )
            raise self._wrong(token, f"{token.value!r} is not a measure for {name}", f"Write it like {told}.")
        return float(match[1]) * units[match[2]]

    def _typed(self, token: _Token, kind: type) -> FieldValue:
        value: FieldValue = token.value
        if kind is bool:
            value = {"true": True, "yes": True, "false": False, "no": False}.get(token.value.casefold(), token.value)
        elif kind is float:
            value = _guess(token.value)
        if isinstance(value, bool) != (kind is bool) or isinstance(value, str) != (kind is str):
            told = "a number" if kind is float else "yes or no"
            raise self._wrong(token, f"{token.name} holds {told}, not {token.value!r}", f"Give {told}.")
        return value

    def _wrong(self, token: _Token, message: str, remedy: str, *, at_name: bool = False) -> QuerySyntaxError:
        position = token.position if at_name else self.text.find(token.value, token.position)
        return QuerySyntaxError(message, query=self.text, position=max(position, token.position), remedy=remedy)


def _guess(value: str) -> FieldValue:
    try:
        return float(value)
    except ValueError:
        return value

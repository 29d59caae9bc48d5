"""JSON as language models really write it -> Python values, without making anything up.

Read beyond the standard: single, curly and corner quotes, full-width colons, commas and brackets, names without quotes,
comments, missing and trailing commas, NaN, Python's None/True/False, times written bare (1:05). An answer that was cut
off keeps what was finished: a string without its end is dropped, never completed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

LONGEST = 65_536  # characters looked at
MOST_VALUES = 32  # tries to find a value in one text, so that a text of brackets stays cheap
DEEPEST = 16

_OPEN = {"{": "}", "[": "]", "｛": "｝", "［": "］", "【": "】"}
_CLOSE = frozenset("}]｝］】")
_OBJECT = frozenset("{｛")
_COMMA = frozenset(",，、;；")
_COLON = frozenset(":：=")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "『": "』", "”": "”", "`": "`"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "", "f": "", "/": "/"}
_WORDS = {"true": True, "false": False, "null": None, "none": None, "nan": None, "undefined": None}
_WORDS |= {"infinity": None, "-infinity": None, "inf": None, "-inf": None}
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d{1,3})?")
# A comment is short: were it not, a text of quotes and comments never closed would be read anew from each of them.
_SPACE = re.compile(r"(\s|//[^\n]*|/\*.{0,1000}?\*/)+", re.DOTALL)
_CUT = object()  # a value that the text ended in


def values(text: str) -> Iterator[Any]:
    """The objects and lists that stand in a text, in order, outermost only."""
    text = text[:LONGEST]
    at = 0
    for _ in range(MOST_VALUES):
        at = next((i for i in range(at, len(text)) if text[i] in _OPEN), -1)
        if at < 0:
            return
        reader = _Reader(text, at)
        yield reader.container(0)
        at = max(reader.at, at + 1)


class _Reader:
    def __init__(self, text: str, at: int) -> None:
        self.text, self.at = text, at

    def container(self, depth: int) -> Any:
        is_object = self._take() in _OBJECT
        members: dict[str, Any] = {}
        items: list[Any] = []
        while True:
            self._skip()
            if not self._peek():
                break
            if self._peek() in _CLOSE:
                self.at += 1
                break
            before = self.at
            value = self._value(depth, in_object=is_object)
            if value is _CUT:
                break
            self._skip(commas=False)
            if is_object and self._peek() in _COLON and self._peek():
                self.at += 1
                self._skip(commas=False)
                name, value = str(value), self._value(depth, in_object=False) if self._peek() else _CUT
                if value is _CUT:
                    break
                members.setdefault(name.strip().lower(), value)
            elif not is_object:
                items.append(value)
            if self.at == before:  # something unreadable: step over it
                self.at += 1
        return members if is_object else items

    def _value(self, depth: int, in_object: bool) -> Any:
        char = self._peek()
        if char in _OPEN:
            if depth < DEEPEST:
                return self.container(depth + 1)
            self.at = len(self.text)
            return _CUT
        if char in _QUOTES:
            return self._string(name=in_object)
        return self._bare(name=in_object)

    def _string(self, name: bool) -> Any:
        quote = _QUOTES[self._take()]
        # A model mixes the quotes of a pair, so a curly one may be closed by a straight one behind it.
        out: list[str] = []
        while self.at < len(self.text):
            char = self._take()
            if char == "\\" and self.at < len(self.text):
                out.append(self._escape())
            elif char == quote and self._ends(quote, name):
                return "".join(out)
            else:
                out.append(char)
        return _CUT

    def _ends(self, quote: str, name: bool) -> bool:
        """A quote inside a sentence ("he said "hi" to her") does not end it: what may follow a string must follow."""
        rest = _SPACE.match(self.text, self.at)
        after = rest.end() if rest else self.at
        if after >= len(self.text):
            return True
        if self.text[after] in _COLON:
            return name
        if self.text[after] in _CLOSE or self.text[after] in _QUOTES:
            return True
        if self.text[after] in _COMMA:
            if quote not in "\"'":
                return True
            behind = _SPACE.match(self.text, after + 1)
            following = self.text[behind.end() if behind else after + 1 :][:1]
            # Behind the comma of a list or an object stands a value, a name or its end; in a sentence, words.
            return (
                not following
                or following in _QUOTES
                or following in _OPEN
                or following in _CLOSE
                or (following.isdigit() or following in "-/" or not _is_prose(self.text[after + 1 : after + 40]))
            )
        return "\n" in self.text[self.at : after]

    def _escape(self) -> str:
        char = self._take()
        if char == "u":
            digits = self.text[self.at : self.at + 4]
            if re.fullmatch(r"[0-9a-fA-F]{4}", digits):
                self.at += 4
                code = int(digits, 16)
                return "" if 0xD800 <= code < 0xE000 else chr(code)
            return ""
        return _ESCAPES.get(char, char)

    def _bare(self, name: bool) -> Any:
        start = self.at
        stops = _COMMA | _CLOSE | frozenset("\n") | frozenset(_OPEN)
        while self.at < len(self.text) and self.text[self.at] not in stops:
            if name and self.text[self.at] in _COLON:
                break
            if not name and self.text[self.at] in _QUOTES and self.text[self.at - 1].isspace() and self.at > start:
                break  # 11 "end": a comma is missing
            self.at += 1
        if self.at >= len(self.text) and not name:
            return _CUT  # 12 may have been going to be 12.5
        word = self.text[start : self.at].strip()
        if word.lower() in _WORDS:
            return _WORDS[word.lower()]
        if not name and _NUMBER.fullmatch(word) and len(word) < 32:
            return float(word)
        return word

    def _peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def _take(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def _skip(self, commas: bool = True) -> None:
        while self.at < len(self.text):
            space = _SPACE.match(self.text, self.at)
            if space:
                self.at = space.end()
            elif commas and self.text[self.at] in _COMMA:
                self.at += 1
            else:
                return


def _is_prose(text: str) -> bool:
    """Words that go on before the next name or end: `, and left", ` but not `, end: 4` nor `, none]`."""
    head = re.match(r"\s*[^\"'{}\[\],:：，]*", text)
    assert head is not None
    following = text[head.end() : head.end() + 1]
    return following not in ("", ":", "：", "]", "}")

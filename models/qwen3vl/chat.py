"""Captions, moments, boxes and answers from anything that can be asked a turn: a model here, or a server elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from data.errors import MediaError
from data.types import Box, Pixels
from models.base import Answer, Caption, Clip, Grounding
from models.qwen3vl import parsing, showing
from models.qwen3vl.prompting import Turn
from models.qwen3vl.sampling import Sampling

# The second try draws instead of taking the likeliest word: the likeliest is what went wrong.
CAPTION_TRIES = (Sampling(max_new_tokens=768), Sampling(max_new_tokens=768, temperature=0.7, seed=1))
SHORT_TRIES = (Sampling(max_new_tokens=256), Sampling(max_new_tokens=256, temperature=0.7, seed=1))
ANSWER_TRIES = (Sampling(max_new_tokens=1024), Sampling(max_new_tokens=1024, temperature=0.7, seed=1))
UNREADABLE = "The model gave no answer that could be read, twice."

_Read = TypeVar("_Read")


class Chat(Protocol):
    """What writes. revision: "id@revision", noted with all that it wrote."""

    @property
    def revision(self) -> str: ...

    def write(
        self, turns: Sequence[Turn], sampling: Sampling, schemas: Sequence[Mapping[str, Any]] | None = None
    ) -> list[str]:
        """One text a turn, in order. schemas: one a turn, held to where the backend can."""
        ...


def ask(
    chat: Chat,
    turns: Sequence[Turn],
    schemas: Sequence[Mapping[str, Any]],
    tries: Sequence[Sampling],
    read: Callable[[int, str], _Read | None],
) -> list[_Read | None]:
    """Asks every turn, and those whose answer cannot be read again at the next settings.

    Args:
        read: (place of the turn, text) -> what it says, or None when it cannot be read.

    Returns:
        One a turn; None where no try could be read.
    """
    found: list[_Read | None] = [None] * len(turns)
    for sampling in tries:
        open_ = [i for i, value in enumerate(found) if value is None]
        if not open_:
            break
        texts = chat.write([turns[i] for i in open_], sampling, [schemas[i] for i in open_])
        for i, text in zip(open_, texts, strict=True):
            found[i] = read(i, text)
    return found


class ChatCaptioner:
    """A `Captioner`."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    @property
    def revision(self) -> str:
        return self._chat.revision

    def prompt_id(self, clip: Clip) -> str:
        """ "name@digest" of the prompt that a clip is asked with."""
        return showing.caption_turn(clip, "en")[1]

    def caption(self, clips: Sequence[Clip], language: str = "en") -> list[Caption]:
        """See `Captioner`. Clips are asked together: the more at once, the better a GPU is used."""
        captions: list[Caption | None] = [None] * len(clips)
        asked = []
        for place, clip in enumerate(clips):
            try:
                asked.append((place, *showing.caption_turn(clip, language)))
            except MediaError as error:
                captions[place] = Caption("", language=language, model=self.revision, failed=str(error))

        def read(i: int, text: str) -> Caption | None:
            return parsing.caption(text, clips[asked[i][0]], language)

        found = ask(self._chat, [a[1] for a in asked], [a[3] for a in asked], CAPTION_TRIES, read)
        for (place, _, prompt_id, _), caption in zip(asked, found, strict=True):
            caption = caption or Caption("", language=language, failed=UNREADABLE)
            captions[place] = replace(caption, model=self.revision, prompt=prompt_id)
        return [caption for caption in captions if caption is not None]


class ChatGrounder:
    """A `Grounder`. What cannot be read is found nowhere."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def when(self, query: str, clip: Clip) -> tuple[Grounding, ...]:
        if clip.start_s is None:
            return ()
        turn, _, schema = showing.when_turn(query, clip)
        return ask(self._chat, [turn], [schema], SHORT_TRIES, lambda _, text: parsing.stretches(text, clip))[0] or ()

    def where(self, query: str, picture: Pixels) -> tuple[Box, ...]:
        turn, _, schema = showing.where_turn(query, picture)
        height, width = picture.shape[:2]

        def read(_: int, text: str) -> tuple[Box, ...] | None:
            return parsing.boxes(text, width, height)

        return ask(self._chat, [turn], [schema], SHORT_TRIES, read)[0] or ()


class ChatAnswerer:
    """An `Answerer`."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    @property
    def revision(self) -> str:
        return self._chat.revision

    def answer(self, question: str, clips: Sequence[Clip], language: str = "en") -> Answer:
        if not clips:
            return Answer("Nothing was shown to answer from.", answered=False)
        turn, _, schema = showing.answer_turn(question, clips, language)
        found = ask(self._chat, [turn], [schema], ANSWER_TRIES, lambda _, text: parsing.answer(text, clips))[0]
        return found or Answer(UNREADABLE, answered=False)

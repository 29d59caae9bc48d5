"""The prompts are files: `prompts/NAME.md`, a part "# system" and a part "# user" with $placeholders.

A prompt's id is "name@digest of the file"; it is noted with whatever was written on it, so a changed prompt shows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template

LANGUAGES = {"en": "English", "zh": "Simplified Chinese (简体中文)"}


@dataclass(frozen=True, slots=True)
class PromptFile:
    """Attributes: id: "name@digest", what the manifest and every caption name."""

    id: str
    system: str
    user: str

    def fill(self, **values: str) -> str:
        """The user part with its placeholders filled, in one pass: a value that holds a "$" is left as it is.

        Raises:
            KeyError: a placeholder has no value.
        """
        return Template(self.user).substitute(values)


@cache
def load(name: str, package: str = "models.qwen3vl") -> PromptFile:
    """Args: package: the package whose folder `prompts` holds NAME.md."""
    text = (files(package) / "prompts" / f"{name}.md").read_text("utf-8")
    head, _, user = text.partition("# user\n")
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    return PromptFile(f"{name}@{digest}", head.removeprefix("# system\n").strip(), user.strip())


def language_name(language: str) -> str:
    """The name the prompt uses; a code that is not known stands as it is ("answer in: fr")."""
    return LANGUAGES.get(language, language)

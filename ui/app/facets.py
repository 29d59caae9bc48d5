"""Narrowing by what the library holds: kinds, folders and years with their counts, as conditions of the question."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from data.types import MediaItem
from ui.text import plain

MOST_FOLDERS = 50


@dataclass(frozen=True, slots=True)
class Facets:
    """What there is to choose from, and how much of each.

    Attributes:
        kinds: of media. folders: full path -> media in it and below. years: of capture, the latest first.
        fields: names of the owner's. root: the folder that all lie in; folders are shown from there on.
    """

    kinds: dict[str, int]
    folders: dict[str, int]
    years: dict[str, int]
    fields: tuple[str, ...]
    root: str

    def shown(self, folder: str) -> str:
        """A folder in the fewest words."""
        return os.path.relpath(folder, self.root) if folder != self.root else os.path.basename(folder) or folder


def facets(media: Iterable[MediaItem]) -> Facets:
    """The folders that hold most themselves, in order of their names; none that a question cannot name."""
    kinds: Counter[str] = Counter()
    folders: Counter[str] = Counter()
    years: Counter[str] = Counter()
    fields: set[str] = set()
    for item in media:
        kinds[item.info.kind] += 1
        folders[os.path.dirname(item.path)] += 1
        if item.info.captured_at[:4].isdigit():
            years[item.info.captured_at[:4]] += 1
        fields.update(item.fields)
    most = sorted(path for path, _ in folders.most_common(MOST_FOLDERS) if _can_be_named(path))
    within = {path: sum(n for other, n in folders.items() if f"{other}/".startswith(f"{path}/")) for path in most}
    root = os.path.commonpath(folders) if folders else ""
    return Facets(dict(kinds), within, dict(sorted(years.items(), reverse=True)), tuple(sorted(fields)), root)


def _can_be_named(path: str) -> bool:
    return plain(path, 1000) == path and '"' not in path and "  " not in path


def narrowed(text: str, folder: str, year: str) -> str:
    """The question with what was chosen beside it, in the query language."""
    inside = f'in:"{folder}"' if folder else ""
    taken = f"after:{year} before:{int(year) + 1}" if year.isdigit() else ""
    return " ".join(filter(None, (text, inside, taken)))

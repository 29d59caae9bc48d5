"""One tree of errors; foreign errors are mapped into it where they enter.

    SecondSightError            exit code 1   everything we raise on purpose
    ├── UsageError              exit code 2   the request itself is wrong (bad flag, bad query syntax)
    │   └── QuerySyntaxError                  points at the character
    ├── MediaError              a file cannot be used; recorded as a skip, never stops a run
    │   ├── MissingMedia        exit code 2   no such file, or the library does not hold it
    │   ├── UnsupportedMedia    not a kind we index (extension or content)
    │   ├── CorruptMedia        of a kind we index, but cannot be decoded
    │   └── MediaTooLarge       over the decoded-size budget
    ├── LibraryError            the library on disk
    │   ├── LibraryNotFound     nothing indexed there yet
    │   ├── LibraryBusy         another process is writing
    │   ├── IndexMismatch       made with other models or another schema
    │   └── LibraryDamaged      something is missing or unreadable
    ├── ModelError              models and their weights
    │   ├── MissingExtra        an optional part is not installed; names the extra
    │   ├── WeightsUnavailable  weights cannot be had or do not match their sha256
    │   ├── UnknownProfile      no such profile
    │   └── ServerFailed        a model server cannot be reached, refuses, or does not answer as it should
    └── Interrupted             exit code 130 the person stopped it; what was finished is kept

Every message is one sentence that quotes the bad value and ends with the remedy. It reaches a person as it is, so it
never holds a traceback or a second line.
"""

from __future__ import annotations


class SecondSightError(Exception):
    """Root of the tree.

    Attributes:
        exit_code: what the command line exits with when this error ends it.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message} {remedy}".strip())


class UsageError(SecondSightError):
    exit_code = 2


class QuerySyntaxError(UsageError):
    """Attributes: position: 0-based character of the query the error points at."""

    def __init__(self, message: str, *, query: str, position: int, remedy: str = "") -> None:
        self.query, self.position = query, position
        super().__init__(f"{message}, at character {position + 1} of {query!r}.", remedy=remedy)


class MediaError(SecondSightError):
    pass


class MissingMedia(MediaError):
    exit_code = 2


class UnsupportedMedia(MediaError):
    pass


class CorruptMedia(MediaError):
    pass


class MediaTooLarge(MediaError):
    pass


class LibraryError(SecondSightError):
    pass


class LibraryNotFound(LibraryError):
    pass


class LibraryBusy(LibraryError):
    pass


class IndexMismatch(LibraryError):
    pass


class LibraryDamaged(LibraryError):
    pass


class ModelError(SecondSightError):
    pass


class MissingExtra(ModelError):
    """Args: what: the part that needs it; extra: its name in pyproject.toml."""

    def __init__(self, what: str, extra: str) -> None:
        remedy = f"Install it: pip install 'secondsight[{extra}]'."
        super().__init__(f"{what} needs secondsight[{extra}].", remedy=remedy)


class WeightsUnavailable(ModelError):
    pass


class UnknownProfile(ModelError):
    pass


class ServerFailed(ModelError):
    pass


class Interrupted(SecondSightError):
    exit_code = 130

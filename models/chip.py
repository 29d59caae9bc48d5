"""What any model on a chip meets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from data.errors import ModelError


@contextmanager
def memory_is_short(message: str, remedy: str) -> Iterator[None]:
    """A chip that runs out of memory gives back what it can, and the person a sentence. Needs torch.

    Raises:
        ModelError: it ran out.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        raise ModelError(message, remedy=remedy) from None

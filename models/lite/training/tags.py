"""Pack the vectors of the tags' names for the towers as they are: python -m models.lite.training.tags"""

from __future__ import annotations

from pathlib import Path

from data.settings import load
from models.lite.embedder import LiteEmbedder
from models.tags import pack


def main() -> None:
    settings = load()
    pack(LiteEmbedder(settings), settings, Path(__file__).parents[1] / "tags.npz")


if __name__ == "__main__":
    main()

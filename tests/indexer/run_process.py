"""Indexes the folder argv[2] into the library argv[1] with a slow stand-in model, and prints when it begins."""

import sys
import time
from pathlib import Path

from data.settings import Settings
from indexer import books, pipeline
from models.base import ModelSet
from tests.conftest import ColourModel


class SlowModel(ColourModel):
    def embed_images(self, images):
        time.sleep(0.05)
        return super().embed_images(images)


if __name__ == "__main__":
    books.WRITE_EVERY_MEDIA, books.WRITE_EVERY_S = 3, 0.2  # written often: killed in all places
    import lancedb  # noqa: F401  # so that the time from "begun" on is that of the run

    print("begun", flush=True)
    settings = Settings(library=Path(sys.argv[1]), batch_size=4, workers=2)
    report = pipeline.index(
        [Path(sys.argv[2])], library=settings.library, models=ModelSet("test", SlowModel()), settings=settings
    )
    print(report.indexed, report.unchanged, len(report.failed))

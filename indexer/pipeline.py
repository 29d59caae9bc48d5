"""index(): files in, a searchable library out. The stages stand in order in that one function.

Decoding runs in processes of its own behind a bounded queue, so that decoder and model work at the same time, memory
stays flat however long a video is, and a codec that crashes costs one file; pictures of many files share one batch of
the model. What a medium adds is written whole or not at all, so stopping at any point leaves a library that searches
and a next run that takes up.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.settings import Settings
from data.store.base import Store
from data.store.lance import create_or_open
from indexer.books import FRAMES_STAGE, Books, stage_of
from indexer.decode import Ended, Failed, Known, Picture, Tick, decode_ahead
from indexer.discover import Candidate, Failure, survey
from indexer.embed import BatchEmbedder
from indexer.enrich import enrich
from indexer.metadata import apply_metadata
from indexer.progress import Meter, Progress
from indexer.sampling import Sampling
from indexer.tables import Table
from models.base import ModelSet

__all__ = ["IndexReport", "Progress", "index", "remove"]


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did. Counts are of paths.

    Attributes:
        indexed: new, changed or upgraded, now searchable.
        failed: not searchable, with the reason; files that failed before and are unchanged are among them.
        not_retried: how many of `failed` were not tried again.
        warnings: searchable, but not whole (a truncated video, say); folders that look unmounted.
        texts: spans of subtitles, speech and on-screen text that came in.
        cropped: stills whose parts were looked at.
        told: media of which tables or sidecars said something new.
        ignored: extension -> files in folders passed over because they are not media.
    """

    indexed: int
    unchanged: int
    moved: int
    removed: int
    failed: tuple[Failure, ...]
    not_retried: int
    warnings: tuple[Failure, ...]
    texts: int
    cropped: int
    told: int
    ignored: dict[str, int]
    seconds: float
    interrupted: bool


def index(
    paths: Sequence[Path],
    *,
    library: Path,
    models: ModelSet,
    settings: Settings,
    sampling: Sampling = "adaptive",
    keep_missing: bool = False,
    prune: bool = False,
    retry_failed: bool = False,
    listen: bool = False,
    crop: bool = False,
    read: bool = False,
    metadata: Sequence[Table] = (),
    bulk: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> IndexReport:
    """Bring the library up to date with the files below `paths`.

    Args:
        paths: files and folders (indexer.sources expands globs and lists). Nothing outside them is touched, except
            that a file found to have moved leaves its old place.
        library: folder of the library, made when absent.
        sampling: "fast" looks at key frames only; a later run that is not fast does those videos again, in full.
        keep_missing: keep the rows of files that are gone.
        prune: let them go even where a given folder is empty or is not there, as one is that is not mounted.
        retry_failed: try files again that failed before and have not changed since.
        listen: transcribe the speech of videos without subtitles. Subtitles are always read.
        crop: look at parts of stills too, so that a picture of a thing finds the room it stands in.
        read: read what is written in pictures.
        metadata: what their owner says of the files, beside each one's own FILE.json.
        bulk: nobody searches the library meanwhile: its vectors are indexed once, at the end.
        on_progress: called a few times a second from this thread.
        should_stop: asked between pictures; True ends the run with what is finished kept.

    Raises:
        LibraryError: the library cannot be opened for writing, or holds another model's vectors (IndexMismatch).
        MissingExtra, WeightsUnavailable: a model that listens or reads was asked for and is not here.
    """
    started_s = time.monotonic()
    identities = {channel: identity.as_dict() for channel, identity in models.identities().items()}
    store = create_or_open(library, identities, profile=models.profile, bulk=bulk)
    run: Books | None = None
    try:
        known = store.files()
        found = survey(paths, known, skip=[library])
        stage = stage_of(sampling, settings.frame_rate)
        upgrades = _upgrades(store, stage)
        todo, quarantined = _todo(found.candidates, upgrades, retry_failed)
        meter = Meter(sum(candidate.row.size_bytes for candidate in todo), len(todo), on_progress)
        sizes = Counter(candidate.row.size_bytes for candidate in todo)
        run = Books(store, known, meter, stage, settings.frame_rate, upgrades, sizes)
        run.failed.extend((*found.failed, *quarantined))
        embedder = BatchEmbedder(models.joint, models.tagger, settings.batch_size, on_done=run.write)

        with decode_ahead(
            todo, known, settings, picture_side=models.picture_side, sampling=sampling, again=upgrades,
            workers=_workers(settings),
        ) as events:  # fmt: skip
            while True:
                with run.timed("decode"):
                    event = next(events, _END)
                if event is _END:
                    break
                if should_stop is not None and should_stop():
                    run.interrupted = True
                    break
                match event:
                    case Picture(job, time_s, rgb, repeats):
                        with run.timed("embed"):
                            embedder.add(job, time_s, rgb, repeats)
                        meter.rows, meter.pictures = meter.rows + 1, meter.pictures + (rgb is not None)
                        meter.saw(job, time_s)
                    case Tick(job, time_s):
                        meter.saw(job, time_s)
                    case Ended(job):
                        embedder.end(job)
                        run.finished(job)
                    case Known(candidate, media_id, old_path):
                        run.known_content(candidate.row, media_id, old_path)
                    case Failed(candidate, reason, unreadable):
                        embedder.drop(candidate.path)
                        run.fail(candidate, reason, unreadable=unreadable)
                meter.tell()
        with run.timed("embed"):
            embedder.flush()
        run.write_all()

        gone = [] if keep_missing or run.interrupted else run.gone(found, prune=prune)
        store.forget_paths([*run.moved_from, *gone])
        if not run.interrupted:
            beside = ".json" in found.ignored or not all(path.is_dir() for path in paths)
            said = apply_metadata(store, metadata, sidecars_of=paths if beside else ())
            run.warnings.extend(said.problems)
            run.told = said.changed
            texts = enrich(
                store, paths, models, settings, listen=listen, read=read, crop=crop, again=retry_failed,
                tell=meter.tell_texts, should_stop=should_stop,
            )  # fmt: skip
            run.warnings.extend(texts.warnings)
            run.interrupted, run.texts, run.cropped = texts.interrupted, texts.spans, texts.cropped
        meter.tell(stage="done", always=True)
    except BaseException:
        if run is not None:
            run.write_all()  # what was finished before the defect is kept
        raise
    finally:
        store.close()
    return IndexReport(
        indexed=run.indexed,
        unchanged=len(found.candidates) - len(todo) - len(quarantined),
        moved=run.moved,
        removed=len(gone),
        failed=tuple(run.failed),
        not_retried=len(quarantined),
        warnings=tuple(run.warnings),
        texts=run.texts,
        cropped=run.cropped,
        told=run.told,
        ignored=found.ignored,
        seconds=round(time.monotonic() - started_s, 3),
        interrupted=run.interrupted,
    )


def remove(paths: Sequence[Path], *, library: Path) -> int:
    """Take files, or all files below folders, out of the library; the files themselves are not touched.

    Returns:
        How many paths left the library.
    """
    from data.store.lance import read_manifest

    manifest = read_manifest(library)
    store = create_or_open(library, manifest.models, profile=manifest.profile)
    try:
        roots = [os.path.abspath(path) for path in paths]
        leaving = [
            name
            for name in store.files()
            if any(name == root or name.startswith(root.rstrip("/") + "/") for root in roots)
        ]
        store.forget_paths(leaving)
        return len(leaving)
    finally:
        store.close()


_END = object()


def _workers(settings: Settings) -> int:
    """Decoding processes. A decoder has threads of its own, so a quarter of the cores keeps a model fed."""
    return settings.workers or min(8, max(1, (os.cpu_count() or 1) // 4))


def _rate_of(stage: str) -> float:
    """Base rate of a noted stage; a library of an older release does not say, and has no fast passes."""
    try:
        return float(stage.rpartition("-")[2])
    except ValueError:
        return float("inf")


def _upgrades(store: Store, stage: str) -> frozenset[str]:
    """Videos and animations in the library with fewer frames than this run would give them."""
    stages = store.stages()
    short = {name for name, done in stages.items() if _rate_of(done.get(FRAMES_STAGE, "")) < _rate_of(stage)}
    return (
        frozenset(item.media_id for item in store.media(sorted(short)) if item.info.duration_s)
        if short
        else frozenset()
    )


def _todo(
    candidates: Sequence[Candidate], upgrades: frozenset[str], retry_failed: bool
) -> tuple[list[Candidate], list[Failure]]:
    """(files to work on, files that failed before and are left alone)."""
    todo: list[Candidate] = []
    quarantined: list[Failure] = []
    coming: set[str] = set()
    for candidate in candidates:
        known_id = candidate.known.media_id if candidate.known is not None else ""
        if candidate.failed_before and not retry_failed:
            quarantined.append(Failure(candidate.row.path, candidate.failed_before))
        elif not candidate.untouched:
            todo.append(candidate)
        elif known_id in upgrades and known_id not in coming:  # of several copies one
            coming.add(known_id)
            todo.append(candidate)
    return todo, quarantined

"""reindex(): a whole library made again with other models, beside the one in use, and put in its place at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from data.crops import STAGE
from data.errors import LibraryError
from data.settings import Settings
from data.store import swap
from data.store.lance import LanceStore, create_or_open, open_reader
from data.types import TextChannel
from indexer.embed_texts import embed_captions
from indexer.listen import is_done
from indexer.pipeline import IndexReport, index
from indexer.progress import Progress
from models.base import ModelSet

_CHANNELS: tuple[TextChannel, ...] = ("caption", "speech", "screen")


def reindex(
    *,
    library: Path,
    models: ModelSet,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> IndexReport:
    """Make the library again from its files with `models`. Searches meet the old one until the new one is whole.

    Texts that models read, heard or wrote, and the owner's fields, come along: they belong to the content, not to its
    vectors. Stopped or killed, the next call with the same models takes up. `data.store.swap.undo` goes back.

    Raises:
        LibraryError: files of the library cannot be read now; the old one stays in force.
        LibraryNotFound, LibraryBusy: see data.store.swap.held.
    """
    library = Path(library).absolute()
    identities = {channel: identity.as_dict() for channel, identity in models.identities().items()}
    with swap.held(library):
        beside = swap.place_beside(library, identities)
        with open_reader(library) as old:
            wanted = {path for path, row in old.files().items() if not row.reason}
            report = index(
                [Path(path) for path in sorted(wanted)],
                library=beside,
                models=models,
                settings=settings,
                keep_missing=True,
                bulk=True,
                retry_failed=True,
                crop=any(STAGE in done for done in old.stages().values()),
                on_progress=on_progress,
                should_stop=should_stop,
            )
            if report.interrupted:
                return report
            with create_or_open(beside, identities, profile=models.profile) as new:
                _refuse_loss(library, wanted, new)
                _carry(old, new)
                embed_captions(new, models.joint)
        swap.swap_in(library)
    return report


def _refuse_loss(library: Path, wanted: set[str], new: LanceStore) -> None:
    found = new.files()
    new.forget_paths(found.keys() - wanted)  # taken out of the library since an earlier run was stopped
    lost = sorted(path for path in wanted if path not in found or found[path].reason)
    if lost:
        row = found.get(lost[0])
        raise LibraryError(
            f"{len(lost)} of {len(wanted)} files in the library at {str(library)!r} cannot be indexed now, "
            f"the first {lost[0]!r} ({row.reason if row else 'it is gone'}); nothing was replaced.",
            remedy="Bring them back, or `secondsight remove PATH` them, and run it again: it goes on where it was.",
        )


def _carry(old: LanceStore, new: LanceStore) -> None:
    """What does not depend on the vectors: failures, fields, and texts that cost a model's time."""
    new.record_files([row for row in old.files().values() if row.reason])
    before, now = old.stages(), new.stages()
    fields = {item.media_id: item.fields for item in old.media() if item.fields and item.media_id in now}
    if fields:
        new.put_fields(fields)
    for media_id in before.keys() & now.keys():
        for channel in _CHANNELS:
            had, has = before[media_id].get(channel, ""), now[media_id].get(channel, "")
            if had and had != has and (not has or (channel == "speech" and is_done(had, has))):
                new.put_texts(media_id, channel, old.texts(media_id, (channel,)), stage=had)

"""kill -9 at any moment, and reading while a writer writes."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data import errors
from data.store import rows
from data.store.base import Filter
from data.store.lance import create_or_open, open_reader
from tests.store.made import MODELS, medium, spans

ROOT = Path(__file__).parents[2]


def start_writer(library, start=0):
    command = [sys.executable, "-m", "tests.store.writer_process", str(library), str(start)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "writing\n"
    return process


def check_whole(store):
    """Every medium that is there is whole and the one that was written; returns how many."""
    count = 0
    for item in store.media():
        seed = int(item.info.tags["seed"])
        frames = store.frame_vectors("joint", item.media_id)
        if not len(frames.times_s) and not list(store.media([item.media_id])):
            continue  # the running writer has removed it since
        # A running writer may have replaced it since: then it is whole in the newer state.
        expected = medium(item.media_id, "/", seed=seed, frames=round(item.info.duration_s * 2))
        if item.media_id != "again" or len(frames.times_s) == len(expected.times_s):
            np.testing.assert_array_equal(frames.times_s, expected.times_s)
        if item.media_id != "again":
            np.testing.assert_allclose(frames.vectors, expected.vectors["joint"], atol=5e-4)
            assert store.segments(item.media_id) == list(expected.segments)
            # a later pass replaces the texts as a whole
            stages, texts = store.stages().get(item.media_id), store.texts(item.media_id)
            if list(store.media([item.media_id])):
                later = list(spans(f"later {seed}"))
                assert texts == later or (texts == list(expected.texts) and stages == {"frames": "all"})
        count += 1
    return count


def test_a_killed_writer_leaves_whole_media_only(library):
    rng = random.Random(5)
    seen = 0
    for turn in range(4):
        process = start_writer(library, start=turn * 1000)
        time.sleep(rng.uniform(0.05, 0.6))
        process.kill()
        process.wait()
        # as it was left, before any writer tidies
        reader = open_reader(library, MODELS)
        before = check_whole(reader)
        ids = {item.media_id for item in reader.media()}
        with create_or_open(library, MODELS, profile="lite") as store:
            assert check_whole(store) == before
            assert before >= seen, "what was finished before this run is still there"
            # Nothing of the unfinished is left in any table, and no path claims a content that is not there.
            stats = store.stats()
            assert store._tables["frames"].count_rows() == stats.frames
            assert store._tables["segments"].count_rows() == stats.segments
            assert store._tables["texts"].count_rows() == stats.texts
            assert {row.media_id for row in store.files().values()} == ids
        seen = before
    assert seen > 5


def test_readers_see_whole_media_while_a_writer_runs(library):
    with create_or_open(library, MODELS, profile="lite") as store:
        store.add([medium(f"base{i}", f"/base{i}", seed=i, frames=5) for i in range(4)])
    process = start_writer(library)
    try:
        reader = open_reader(library, MODELS)
        query = medium("again", "/again", seed=1, frames=2).vectors["joint"][0]
        counts, end = [], time.monotonic() + 4
        # A busy machine gives the writer its turn late: as long as it has written nothing, one waits for it.
        while time.monotonic() < end or (counts[-1] == counts[0] and time.monotonic() < end + 90):
            hits = reader.search_vectors("joint", query, 20, Filter())
            assert len(hits) == 20
            again = reader.search_vectors("joint", query, 1000, Filter(media_ids=("again",)))
            times = sorted(hit.time_s for hit in again)
            # one edition of the replaced medium, whole: neither two at once nor none
            assert times == [i * 0.5 for i in range(len(times))]
            assert again or max(counts, default=0) <= 4, "being replaced, it is never gone"
            counts.append(check_whole(reader))
        assert process.poll() is None
        assert counts[-1] > counts[0] > 0
    finally:
        process.kill()
        process.wait()


def test_a_long_medium_is_written_in_pieces_and_seen_when_whole(library, monkeypatch):
    monkeypatch.setattr(rows, "FRAMES_AT_ONCE", 4)
    sizes, build = [], rows._some_frames

    def watched(edition, medium_rows, some, schema):
        assert not list(reader.media()), "nothing is seen while it is written"
        sizes.append(len(some))
        if len(sizes) == fails_at:
            raise OSError("disk full")
        return build(edition, medium_rows, some, schema)

    monkeypatch.setattr(rows, "_some_frames", watched)
    batch = [medium("a", "/a", kind="image"), medium("b", "/b", seed=1, frames=10), medium("c", "/c", kind="image")]
    batch[1].times_s[:] = batch[1].times_s[::-1].copy()  # not in order of time
    with create_or_open(library, MODELS, profile="lite") as store:
        reader, fails_at = open_reader(library), 3
        with pytest.raises(errors.LibraryError):
            store.add(batch)
        assert not list(reader.media()) and reader.stats().frames == 0
        sizes, fails_at = [], 0
        store.add(batch)
        assert sizes == [1, 4, 4, 2, 1]
        frames = reader.frame_vectors("joint", "b")
        np.testing.assert_array_equal(frames.times_s, np.arange(10) * 0.5)
        np.testing.assert_allclose(frames.vectors, batch[1].vectors["joint"][::-1], atol=5e-4)
        assert {item.media_id for item in reader.media()} == {"a", "b", "c"}
    with create_or_open(library, MODELS, profile="lite") as store:
        assert store._tables["frames"].count_rows() == store.stats().frames == 12

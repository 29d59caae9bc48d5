"""Captions: segments -> clips with PTS-true times -> what a model says -> timed texts in the library.

A pass of its own over media that are indexed already, so that a library can be searched before its captions are there,
and captions can come from another machine's models later. Stopping it loses at most the media in hand, whose captions
are in the result cache: the next run takes up there.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from data.errors import MediaError, MissingMedia
from data.settings import Settings
from data.store.base import Store
from data.types import Frame, MediaItem, Pixels, Segment, TextSpan
from indexer.apart import Apart, Silent
from indexer.discover import Failure
from models.base import Caption, Captioner, Clip

FRAME_RATE_FPS, GIF_RATE_FPS = 2.0, 5.0  # what Qwen3-VL was trained on; GIFs are short and quick
MOST_FRAMES, MOST_GIF_FRAMES = 32, 64  # decoded a segment; models may look at fewer
WRITE_EVERY_MEDIA, WRITE_EVERY_S = 64, 10.0
FRAME_PIXELS = 512 * 512  # as much of a frame as models see: 256 tokens of 32 x 32 for a pair
STILL_SIDE = 1024
BATCH_CLIPS, BATCH_BYTES = 64, 512 << 20  # asked about at once: so many clips, or so many pixels of them


@dataclass(frozen=True, slots=True)
class CaptionReport:
    """What a pass did.

    Attributes:
        media: those whose captions were written. clips, failed_clips, spans: of these.
        failed: files of which nothing could be captioned.
    """

    media: int
    unchanged: int
    clips: int
    failed_clips: int
    spans: int
    failed: tuple[Failure, ...]
    seconds: float
    interrupted: bool


Progress = Callable[[str, int, int], None]  # (path, clips done, clips in all)


def clip_of(item: MediaItem, segment: Segment, heard: Sequence[TextSpan], files: Apart) -> Clip:
    """What a model is shown of a segment.

    Args:
        heard: speech and on-screen text of the medium.

    Raises:
        MediaError: it cannot be decoded any more.
    """
    if segment.start_s is None or segment.end_s is None:
        (frame,) = files.pictures(item, short_side=STILL_SIDE)
        return Clip((_pixels(frame),), kind="image", media_id=item.media_id)
    is_gif = item.info.kind == "gif"
    most, fastest = (MOST_GIF_FRAMES, GIF_RATE_FPS) if is_gif else (MOST_FRAMES, FRAME_RATE_FPS)
    rate_fps = min(fastest, most / max(segment.end_s - segment.start_s, 1e-3))
    sides = sorted((max(item.info.width, 1), max(item.info.height, 1)))
    short_side = max(64, math.isqrt(FRAME_PIXELS * sides[0] // sides[1]))
    frames: list[Pixels] = []
    times_s: list[float] = []
    for frame in files.pictures(
        item, short_side=short_side, rate_fps=rate_fps, start_s=segment.start_s, end_s=segment.end_s
    ):
        # The first frame may have come on screen before the segment began; what is shown is what stands there then.
        time_s = max(frame.time_s or 0.0, segment.start_s)
        rgb = _pixels(frame)
        if len(frames) < most and (not frames or (rgb.shape == frames[0].shape and time_s > times_s[-1])):
            frames.append(rgb)
            times_s.append(time_s)
    if not frames:
        raise MediaError(f"{item.path.name!r} has no picture from {segment.start_s:.2f} to {segment.end_s:.2f} s.")
    said = " ".join(
        f"[{span.start_s:.1f} s] {span.text}"
        for span in heard
        if span.start_s is not None and span.end_s is not None
        and span.start_s < segment.end_s and span.end_s > segment.start_s
    )  # fmt: skip
    return Clip(tuple(frames), tuple(times_s), segment.start_s, segment.end_s, item.info.kind, item.media_id, said)


def spans_of(segment: Segment, caption: Caption) -> list[TextSpan]:
    """One span for the segment, which also names what was seen in it, and one for each event; none when it failed."""
    if caption.failed or not caption.text:
        return []
    seen = [*caption.objects, *caption.actions, *caption.on_screen_text, caption.setting, caption.mood]
    known = caption.text.casefold()
    more = list(dict.fromkeys(word for word in seen if word and word.casefold() not in known))
    whole = f"{caption.text} ({', '.join(more)})" if more else caption.text
    spans = [_span(whole, segment.start_s, segment.end_s, caption)]
    if len(caption.events) > 1 or any(event.text != caption.text for event in caption.events):
        spans += [_span(event.text, event.start_s, event.end_s, caption) for event in caption.events]
    return spans


def caption_library(
    paths: Sequence[Path],
    *,
    library: Path,
    captioner: Captioner,
    settings: Settings,
    language: str = "en",
    again: bool = False,
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> CaptionReport:
    """Caption what the library holds under `paths`; everything when there are none.

    Args:
        captioner: best a `models.cache.CachedCaptioner`.
        language: BCP 47 code of the captions, "en" or "zh".
        again: also media that this model captioned before with failures.

    Raises:
        LibraryError: the library cannot be written. ModelError: the model cannot be had; what is done is kept.
    """
    from data.store.lance import create_or_open
    from data.store.manifest import read_manifest

    manifest = read_manifest(library)
    store = create_or_open(library, manifest.models, profile=manifest.profile)
    try:
        roots = [os.path.abspath(path) for path in paths]
        wanted = _below(store, roots)
        media = [item for item in store.media() if wanted is None or item.media_id in wanted]
        return caption_media(
            store,
            media,
            captioner,
            settings,
            language=language,
            again=again,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    finally:
        store.close()


def caption_media(
    store: Store,
    media: Sequence[MediaItem],
    captioner: Captioner,
    settings: Settings,
    *,
    language: str = "en",
    again: bool = False,
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> CaptionReport:
    """The pass itself, over media of a store that is open for writing. See `caption_library`."""
    started = time.monotonic()
    how = f"{captioner.revision} {language}"
    stages = store.stages()
    todo = [item for item in media if not _is_done(stages.get(item.media_id, {}), how, again)]
    run = _Run(store, captioner, language, how, on_progress)
    run.total = sum(len(store.segments(item.media_id)) for item in todo)  # a medium has one at least
    interrupted = False

    def jobs() -> Iterator[_Job]:
        for item in todo:
            segments = store.segments(item.media_id)
            heard = store.texts(item.media_id, ("speech", "screen"))
            run.begin(item, len(segments))
            for segment in segments:
                if not run.is_open(item):  # given up: its other clips are not waited for as well
                    break
                yield item, segment, heard

    try:
        with (
            Apart(settings.max_pixels) as files,
            closing(_ahead(jobs(), lambda job: clip_of(*job, files))) as decoded,
        ):
            for (item, segment, _), clip in decoded:
                if should_stop is not None and should_stop():
                    interrupted = True
                    break
                try:
                    run.add(item, segment, clip.result())
                except Silent as error:
                    run.abandon(item, f"{error}; the next run tries again")
                except MissingMedia as error:  # away, not bad: it is tried again next time
                    run.abandon(item, str(error))
                except MediaError as error:
                    run.told(item, segment, Caption("", failed=str(error)))
                if run.waiting_bytes >= BATCH_BYTES or len(run.waiting) >= BATCH_CLIPS:
                    run.flush()
        if not interrupted:
            run.flush()
    finally:
        run.write()  # what is finished is kept, whatever ends it
    return CaptionReport(
        media=run.media,
        unchanged=len(media) - len(todo),
        clips=run.clips,
        failed_clips=run.failed_clips,
        spans=run.spans,
        failed=tuple(run.failed),
        seconds=round(time.monotonic() - started, 3),
        interrupted=interrupted,
    )


_Job = tuple[MediaItem, Segment, Sequence[TextSpan]]


def _ahead(jobs: Iterable[_Job], work: Callable[[_Job], Clip]) -> Generator[tuple[_Job, Future[Clip]], None, None]:
    """Jobs in order, each with its clip, decoded while the ones before are looked at: decoders let threads run."""
    workers = min(8, max(1, (os.cpu_count() or 1) // 2))
    pool = ThreadPoolExecutor(workers, thread_name_prefix="secondsight-clips")
    waiting: deque[tuple[_Job, Future[Clip]]] = deque()
    try:
        for job in jobs:
            waiting.append((job, pool.submit(work, job)))
            if len(waiting) > 2 * workers:
                yield waiting.popleft()
        yield from waiting
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(slots=True)
class _Open:
    """A medium whose captions are not all there yet."""

    item: MediaItem
    left: int
    spans: list[TextSpan] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    count: int = 0


@dataclass(slots=True)
class _Run:
    """Clips wait for a batch, whatever media they are of; a medium is written when its last clip is told."""

    store: Store
    captioner: Captioner
    language: str
    how: str
    on_progress: Progress | None
    total: int = 0
    done: int = 0
    media: int = 0
    clips: int = 0
    failed_clips: int = 0
    spans: int = 0
    failed: list[Failure] = field(default_factory=list)
    waiting: list[tuple[MediaItem, Segment, Clip]] = field(default_factory=list)
    waiting_bytes: int = 0
    _open: dict[str, _Open] = field(default_factory=dict)
    _finished: list[tuple[str, Sequence[TextSpan], str]] = field(default_factory=list)
    _wrote_s: float = field(default_factory=time.monotonic)

    def begin(self, item: MediaItem, segments: int) -> None:
        self._open[item.media_id] = _Open(item, segments, count=segments)

    def add(self, item: MediaItem, segment: Segment, clip: Clip) -> None:
        self.waiting.append((item, segment, clip))
        self.waiting_bytes += sum(frame.nbytes for frame in clip.frames)

    def is_open(self, item: MediaItem) -> bool:
        return item.media_id in self._open

    def abandon(self, item: MediaItem, reason: str) -> None:
        open_ = self._open.pop(item.media_id, None)
        if open_ is not None:
            self.total -= open_.left
            self.failed.append(Failure(str(item.path), reason))

    def flush(self) -> None:
        waiting, self.waiting, self.waiting_bytes = self.waiting, [], 0
        if not waiting:
            return
        captions = self.captioner.caption([clip for _, _, clip in waiting], self.language)
        for (item, segment, _), caption in zip(waiting, captions, strict=True):
            self.told(item, segment, caption)

    def told(self, item: MediaItem, segment: Segment, caption: Caption) -> None:
        open_ = self._open.get(item.media_id)
        if open_ is None:  # abandoned
            return
        open_.spans += spans_of(segment, caption)
        if caption.failed:
            open_.failed.append(caption.failed)
        open_.left -= 1
        self.done += 1
        if open_.left == 0:
            self._finish(self._open.pop(item.media_id))
        if self.on_progress is not None:
            self.on_progress(str(item.path), self.done, self.total)

    def _finish(self, done: _Open) -> None:
        failures = f" failed={len(done.failed)}/{done.count}" if done.failed else ""
        spans = sorted(done.spans, key=lambda span: (span.start_s or 0.0, -(span.end_s or 0.0)))
        self._finished.append((done.item.media_id, spans, self.how + failures))
        self.media += 1
        self.clips += done.count
        self.spans += len(spans)
        self.failed_clips += len(done.failed)
        if len(done.failed) == done.count and done.failed:
            self.failed.append(Failure(str(done.item.path), done.failed[0]))
        if len(self._finished) >= WRITE_EVERY_MEDIA or time.monotonic() - self._wrote_s > WRITE_EVERY_S:
            self.write()

    def write(self) -> None:
        """One commit for many media: pictures come by the hundred a second where the model is quick."""
        finished, self._finished = self._finished, []
        if finished:
            self.store.put_many_texts("caption", finished)
        self._wrote_s = time.monotonic()


def _is_done(stages: Mapping[str, str], how: str, again: bool) -> bool:
    stage = stages.get("caption", "")
    return stage == how or (stage.startswith(f"{how} failed=") and not again)


def _below(store: Store, roots: Sequence[str]) -> set[str] | None:
    """Contents of the files at or below these paths; None for all.

    Raises:
        MissingMedia: the library holds nothing at one of them.
    """
    if not roots:
        return None
    files = {path: row.media_id for path, row in store.files().items() if not row.reason}
    found: set[str] = set()
    for root in roots:
        here = {files[path] for path in files if path == root or path.startswith(root.rstrip("/") + "/")}
        if not here:
            raise MissingMedia(
                f"The library holds nothing at {root!r}.", remedy="Index it first: secondsight index PATH."
            )
        found |= here
    return found


def _span(text: str, start_s: float | None, end_s: float | None, caption: Caption) -> TextSpan:
    source = f"{caption.model} {caption.prompt}".strip()  # a changed prompt shows
    return TextSpan("caption", text, start_s, end_s, caption.language, source=source)


def _pixels(frame: Frame) -> Pixels:
    assert frame.rgb is not None, "asked for without luma, every frame has pixels"
    return frame.rgb

"""Video through PyAV: every frame at its presentation time, whatever the container does.

Seeking lands on a key frame, late in some containers, and behind an open GOP the first pictures may lean on frames
that were skipped. So a seek is checked: a run is used only from the first key frame's own time on, and when that is
after the wanted time the seek is repeated further back.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType

import av

from data.errors import CorruptMedia
from data.media import tags
from data.media.container import OpenVideo
from data.media.geometry import display_size
from data.media.pixels import FrameConverter, orientation_of
from data.media.sampling import EPSILON_S, Timed, check_range, select
from data.media.source import Choose
from data.media.types_of_file import show
from data.types import Frame, MediaInfo

_BACK_OFF_S = (0.0, 1.0, 4.0, 16.0, 64.0)  # how much further back each repeated seek goes


class VideoSource:
    """One video file. Every iteration has a container of its own, so several may run at once, one per thread."""

    def __init__(self, path: Path, max_pixels: int, *, known: bool) -> None:
        """Args: known: the content is a container we know; otherwise only the name says that it is a video."""
        self._path, self._max_pixels, self._known = path, max_pixels, known
        self._lock = threading.Lock()
        self._idle: OpenVideo | None = None
        self._closed = False
        self.warnings: tuple[str, ...] = ()
        opened = OpenVideo(path, max_pixels, known=known)
        try:
            self.info = self._examine(opened)
        except BaseException:
            opened.close()
            raise
        self._idle = opened

    def _examine(self, opened: OpenVideo) -> MediaInfo:
        first = next(opened.run(), None)
        if first is None:
            raise CorruptMedia(
                f"{show(self._path)}: no frame of its {opened.codec} video can be decoded.", remedy="Copy it again."
            )
        frame = first.picture
        assert isinstance(frame, av.VideoFrame)
        self._first_s, self._origin = first.time_s, opened.origin
        self._orientation = orientation_of(frame)
        self._sample_aspect = opened.sample_aspect
        width, height = display_size(frame.width, frame.height, self._sample_aspect)
        if self._orientation.quarters % 2:
            width, height = height, width
        end_s, claimed_s = opened.measure_end()
        end_s = max(end_s, first.time_s + (first.duration_s or 0.0))
        if claimed_s is not None:
            self.warnings = (f"only {end_s:.1f} of {claimed_s:.1f} s could be decoded",)
        captured_at, facts = tags.from_container(opened.metadata)
        return MediaInfo(
            "video",
            width,
            height,
            end_s,
            opened.container_name,
            opened.codec,
            rotation_deg=90 * self._orientation.quarters,
            frame_rate=opened.frame_rate,
            has_audio=opened.has_audio,
            captured_at=captured_at,
            tags=facts,
        )

    def frames(
        self,
        *,
        rate_fps: float | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        short_side: int | None = None,
        luma: bool = False,
        choose: Choose | None = None,
        key_frames: bool = False,
    ) -> Iterator[Frame]:
        """See MediaSource.frames."""
        check_range(rate_fps, start_s, end_s, short_side)
        opened = self._take()
        opened.damaged = opened.unordered = 0
        decoded = self._decode(opened, start_s, key_frames)
        convert = FrameConverter(self._sample_aspect, self._orientation)
        last_s = None
        try:
            for time_s, duration_s, picture, sampled in select(
                decoded, rate_fps=rate_fps, start_s=start_s, end_s=end_s
            ):
                last_s = time_s + (duration_s or 0.0)
                if not (sampled or luma):
                    continue
                tap = convert.luma(picture) if luma or choose else None
                if choose is not None and tap is not None:
                    sampled = choose(time_s, duration_s, tap)
                if sampled or luma:
                    yield Frame(time_s, duration_s, convert.rgb(picture, short_side) if sampled else None, tap)
            if end_s is None and not key_frames:
                self._tell(opened, last_s)
        finally:
            decoded.close()
            self._give_back(opened)

    def frame_at(self, time_s: float | None, *, short_side: int | None = None) -> Frame:
        """The frame on screen at time_s; the last one beyond the end; the first for None."""
        check_range(None, time_s or 0.0, None, short_side)
        wanted = max(min(time_s or 0.0, self.info.duration_s or 0.0), self._first_s)
        opened = self._take()
        decoded = self._decode(opened, wanted)
        try:
            best: Timed | None = None
            until = None
            for item in decoded:
                if item.time_s > wanted + EPSILON_S and best is not None:
                    until = item.time_s
                    break
                best = item
            if best is None:
                raise CorruptMedia(f"{show(self._path)}: nothing can be decoded at {wanted:.3f} s.")
            convert = FrameConverter(self._sample_aspect, self._orientation)
            duration_s = best.duration_s if until is None else until - best.time_s
            return Frame(best.time_s, duration_s, convert.rgb(best.picture, short_side))
        finally:
            decoded.close()
            self._give_back(opened)

    def _decode(self, opened: OpenVideo, start_s: float, key_frames: bool = False) -> Generator[Timed]:
        """Frames in order; the first is on screen at start_s, or is the first of the file."""
        target_s = reach_s = start_s - opened.settle_s
        for back_s in _BACK_OFF_S:
            target_s -= back_s
            if target_s <= self._first_s + EPSILON_S or not opened.seek(target_s):
                break
            run = opened.run(reach_s, key_frames=key_frames)
            first = next(run, None)
            if first is not None and first.time_s <= reach_s + EPSILON_S:
                yield first
                yield from run
                return
            run.close()
            if opened.key_s is not None:
                target_s = min(target_s, opened.key_s - EPSILON_S)
        opened.rewind()
        yield from opened.run(key_frames=key_frames)

    def _tell(self, opened: OpenVideo, last_s: float | None) -> None:
        told = list(self.warnings)
        duration_s = self.info.duration_s or 0.0
        if not told and (last_s or 0.0) < duration_s - 1.0:
            told.append(f"only {last_s or 0.0:.1f} of {duration_s:.1f} s could be decoded")
        if opened.damaged:
            told.append(f"{opened.damaged} damaged packets were skipped")
        if opened.unordered:
            told.append(f"{opened.unordered} frames whose time runs backwards were left out")
        self.warnings = tuple(dict.fromkeys(told))

    def _take(self) -> OpenVideo:
        with self._lock:
            opened, self._idle = self._idle, None
        return opened or OpenVideo(self._path, self._max_pixels, known=self._known, origin=self._origin)

    def _give_back(self, opened: OpenVideo) -> None:
        with self._lock:
            if self._idle is None and not self._closed:
                self._idle = opened
                return
        opened.close()

    def close(self) -> None:
        with self._lock:
            self._closed, opened, self._idle = True, self._idle, None
        if opened is not None:
            opened.close()

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

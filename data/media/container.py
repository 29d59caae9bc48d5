"""One open FFmpeg container and its main video stream: packets to timed frames, seeks, and the measured end."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.stream import Discard, Disposition

from data.errors import CorruptMedia, UnsupportedMedia
from data.media.sampling import EPSILON_S, Timed
from data.media.still import too_large
from data.media.types_of_file import show

# Only these demuxers: others open further files or addresses that a playlist names.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,live_flv,asf,ogg,mxf,ivf,yuv4mpegpipe,"
    "h264,hevc,mjpeg,av1,obu,dv,nut,rm,wtv"
)
_MAX_DEMUX_ERRORS = 100
_TEXT_CODECS = ("subrip", "srt", "mov_text", "ass", "ssa", "webvtt", "text", "microdvd")


class OpenVideo:
    """A container opened on its main video stream. Times are seconds since that stream's start. One thread at a time.

    Attributes:
        origin: time stamp that is second 0; None before the first frame of a stream that does not say.
        key_s: time of the first key packet of the latest run, None before one came.
        settle_s: how long after a seek the times may still be wrong.
        damaged: packets that could not be decoded so far.
        unordered: frames left out so far because their time was not after the one before.
    """

    def __init__(self, path: Path, max_pixels: int, *, known: bool, origin: int | None = None) -> None:
        """Args: known: see VideoSource; origin: as found by an earlier opening of the same file.

        Raises:
            CorruptMedia, UnsupportedMedia, MediaTooLarge.
        """
        self._path, self._max_pixels, self._known = path, max_pixels, known
        self.key_s: float | None = None
        self.damaged = self.unordered = 0
        self.origin = origin
        self._open()

    def _open(self) -> None:
        name = show(self._path)
        try:
            self._container = av.open(
                f"file:{self._path.absolute()}",
                metadata_errors="replace",
                options={"max_pixels": str(self._max_pixels)},
                container_options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            if self._known:
                raise CorruptMedia(
                    f"{name} cannot be opened: its index is missing or damaged ({_reason(error)}).",
                    remedy="It may be an unfinished recording or copy: copy it again.",
                ) from None
            raise UnsupportedMedia(
                f"{name} is named like a video, but its content is not one.", remedy="Check what the file is."
            ) from None
        try:
            self._choose_stream(name)
        except BaseException:
            self._container.close()
            raise
        self._at_start = True

    def _choose_stream(self, name: str) -> None:
        container = self._container
        videos = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
        if not videos:
            kind = "only sound" if container.streams.audio else "no video stream"
            raise UnsupportedMedia(f"{name} holds {kind}.", remedy="Give a file with moving pictures.")
        decodable = [stream for stream in videos if stream.codec_context is not None]
        if not decodable:
            raise UnsupportedMedia(f"{name}: no decoder for its video.", remedy="Convert it to H.264 in MP4.")
        for stream in decodable:
            context = stream.codec_context
            if context.width * context.height > self._max_pixels:
                raise too_large(self._path, context.width, context.height, self._max_pixels)
        stream = max(
            decodable,
            key=lambda s: (bool(s.disposition & Disposition.default), s.codec_context.width * s.codec_context.height),
        )
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(self._max_pixels)}
        self._stream = stream
        self._time_base = stream.time_base or Fraction(1, 1_000_000)
        # AVI stores no presentation times, only the order of decoding: FFmpeg's guesses at them are off by the
        # reordering delay (MPEG-4) or plainly wrong (H.264), while one frame comes out for every packet that goes in.
        self._by_dts = container.format.name == "avi"
        # A program stream stamps one packet in several; just after a seek the frames between are counted from nowhere.
        self.settle_s = 4.0 if container.format.name == "mpeg" else 0.0
        if self.origin is None and not self._by_dts:
            self.origin = stream.start_time
        self.frame_rate = float(stream.average_rate) if stream.average_rate else None
        self.sample_aspect = stream.sample_aspect_ratio
        self.has_audio = bool(container.streams.audio)
        self.codec = stream.codec_context.name
        self.container_name = container.format.name
        self.metadata = {**stream.metadata, **container.metadata}

    def _seconds(self, pts: int) -> float:
        ticks = (pts - (self.origin or 0)) * self._time_base.numerator
        return ticks / self._time_base.denominator  # whole numbers divided once: correctly rounded

    def _span(self, duration: int | None) -> float | None:
        return float(duration * self._time_base) if duration else None

    def rewind(self) -> None:
        if not self._at_start:
            self.close()
            self._open()

    def seek(self, time_s: float) -> bool:
        """Ask for the key frame at or before time_s; where it lands is for the caller to check. False: cannot seek."""
        if self.origin is None:
            return False
        self._at_start = False
        try:
            self._container.seek(self.origin + int(time_s / self._time_base), stream=self._stream, backward=True)
        except (av.FFmpegError, OverflowError):
            return False
        return True

    def _packets(self, *streams: av.stream.Stream) -> Iterator[av.Packet]:
        """Packets past damage: a demuxer's error ends one read, not the file."""
        errors = 0
        while True:
            try:
                yield from self._container.demux(*streams)
                return
            except av.EOFError:
                return
            except (av.FFmpegError, OSError):
                errors += 1
                self.damaged += 1
                if errors > _MAX_DEMUX_ERRORS:
                    return

    def run(self, reach_s: float | None = None, *, key_frames: bool = False) -> Generator[Timed]:
        """Decode from where the container stands: frames in rising order of time, from 0 up.

        Frames before the first key frame's time are dropped: what they refer to was not read.

        Args:
            reach_s: give up at once, without a frame, when the first key frame is later than this.
            key_frames: leave all other frames out.
        """
        self._at_start = False
        self._read_only_video(True)
        self.key_s = None
        last_s: float | None = None
        fed = False
        for packet in self._packets(self._stream):
            if key_frames and packet.size and not packet.is_keyframe:
                continue
            if packet.size and not fed and packet.is_keyframe and packet.pts is not None and self.origin is not None:
                self.key_s = self._seconds(packet.pts)
                fed = True
                if reach_s is not None and self.key_s > reach_s + EPSILON_S:
                    return
            try:
                frames = packet.decode()
            except (av.FFmpegError, OSError):
                self.damaged += 1
                continue
            for frame in frames:
                timed = self._timed(frame, last_s)
                if last_s is None:
                    fed = True
                    if not frame.key_frame if self._by_dts else timed.time_s < (self.key_s or 0.0) - EPSILON_S:
                        continue
                if timed.time_s < -EPSILON_S:
                    continue
                if last_s is not None and timed.time_s <= last_s:
                    self.unordered += 1
                    continue
                last_s = timed.time_s
                yield timed

    def _timed(self, frame: av.VideoFrame, last_s: float | None) -> Timed:
        duration_s = self._span(frame.duration) or (1 / self.frame_rate if self.frame_rate else None)
        pts = frame.dts if frame.pts is None or self._by_dts else frame.pts
        if pts is None:  # elementary streams carry no times: count by the rate
            return Timed(0.0 if last_s is None else last_s + (duration_s or 0.04), duration_s, frame)
        if self.origin is None:
            self.origin = pts
        return Timed(self._seconds(pts), duration_s, frame)

    def measure_end(self) -> tuple[float, float | None]:
        """Where the video ends, read from the last packets without decoding, and where the file says it should.

        The second is None unless the file claims more than is there. Where neither seeking nor the claim helps, all
        packets are read once.
        """
        claimed_s = self._claimed_end()
        ends = None
        for back_s in (1.0, 10.0, 60.0, 600.0):
            if claimed_s <= back_s + self.settle_s or not self.seek(claimed_s - back_s - self.settle_s):
                break
            ends = self._last_ends()
            if ends is not None:
                break
        if ends is None:
            self.rewind()
            ends = self._last_ends() or (0.0, 0.0)
        video_s, any_s = ends
        # Sound or subtitles may outlast the pictures; only when every stream falls short is the file cut.
        is_cut = any_s < claimed_s - max(1.0, 0.01 * claimed_s)
        own_s = float(self._stream.duration * self._time_base) if self._stream.duration else claimed_s
        return video_s, own_s if is_cut else None

    def _claimed_end(self) -> float:
        """0.0 when the file claims nothing."""
        if not self._container.duration:
            return 0.0
        end_s = self._container.duration / av.time_base - float((self.origin or 0) * self._time_base)
        if self.container_name in ("mpegts", "mpeg"):  # measured from the first time stamp, not from zero
            end_s += (self._container.start_time or 0) / av.time_base
        return end_s

    def _last_ends(self) -> tuple[float, float] | None:
        """(end of the last video packet, end of the last packet of any stream) from here on."""
        self._at_start = False
        self._read_only_video(False)
        frame_s = 1 / self.frame_rate if self.frame_rate else 0.0
        video_s = any_s = None
        untimed = 0
        for packet in self._packets():
            if packet.pts is None and packet.size and packet.stream_index == self._stream.index:
                untimed += 1
            if packet.pts is None or not packet.size or packet.is_discard or packet.time_base is None:
                continue
            if packet.stream_index == self._stream.index:
                stamp = packet.pts
                if self._by_dts and packet.dts is not None and self.origin is not None:
                    stamp = packet.dts + self.origin - (self._stream.start_time or 0)
                end_s = self._seconds(stamp) + (self._span(packet.duration) or frame_s)
                video_s = max(video_s or 0.0, end_s)
            else:
                end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                end_s -= float((self.origin or 0) * self._time_base)
            any_s = max(any_s or 0.0, end_s)
        if video_s is None:  # an elementary stream without times: a frame a packet
            return (untimed * frame_s, untimed * frame_s) if untimed else None
        return video_s, any_s or video_s

    # What stands beside the picture. Its times are seconds of the container's own clock: `origin_s` is the picture's 0.

    def origin_s(self) -> float:
        """Where second 0 of the picture lies on the container's clock."""
        if self.origin is None:
            next(self.run(), None)
            self.rewind()
        return float((self.origin or 0) * self._time_base)

    def audio_stream(self) -> av.AudioStream | None:
        """The main sound track that can be decoded, None when there is none."""
        streams = [stream for stream in self._container.streams.audio if stream.codec_context is not None]
        return max(streams, key=lambda s: bool(s.disposition & Disposition.default), default=None)

    def subtitle_stream(self) -> av.subtitles.stream.SubtitleStream | None:
        """The first stream of subtitles that are text, not pictures; None when there is none."""
        return next(
            (s for s in self._container.streams.subtitles if s.codec_context and s.codec_context.name in _TEXT_CODECS),
            None,
        )

    def sound_frames(self, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
        for packet in self.packets(stream):
            try:
                yield from stream.codec_context.decode(packet)
            except (av.FFmpegError, OSError, ValueError):
                self.damaged += 1

    def packets(self, wanted: av.stream.Stream) -> Iterator[av.Packet]:
        """All packets of one stream, from the start; those of the others are not even read where that is possible."""
        self.rewind()
        self._at_start = False
        for stream in self._container.streams:
            stream.discard = Discard.default if stream.index == wanted.index else Discard.all
        yield from self._packets(wanted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _read_only_video(self, only: bool) -> None:
        for stream in self._container.streams:
            if stream.index != self._stream.index:
                stream.discard = Discard.all if only else Discard.default

    def close(self) -> None:
        self._container.close()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__

"""One open FFmpeg container and its main video stream: packets to timed frames, seeks, and the measured end."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition

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


def open_container(path: Path, max_pixels: int, *, known: bool) -> OpenVideo:
    """Open a video and choose its main stream.

    Raises:
        CorruptMedia, UnsupportedMedia, MediaTooLarge.
    """
    return OpenVideo(path, max_pixels, known=known)


class OpenVideo:
    """Times are seconds since the stream's start. Not for several threads at once.

    Attributes:
        key_s: time of the first key packet of the latest run, None before one came.
        damaged: packets that could not be decoded so far.
    """

    def __init__(self, path: Path, max_pixels: int, *, known: bool) -> None:
        self._path, self._max_pixels, self._known = path, max_pixels, known
        self.key_s: float | None = None
        self.damaged = 0
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
        self._start = stream.start_time
        self.frame_rate = float(stream.average_rate) if stream.average_rate else None
        self.sample_aspect = stream.sample_aspect_ratio
        self.has_audio = bool(container.streams.audio)
        self.codec = stream.codec_context.name
        self.container_name = container.format.name
        self.metadata = {**stream.metadata, **container.metadata}

    def _seconds(self, pts: int) -> float:
        ticks = (pts - (self._start or 0)) * self._time_base.numerator
        return ticks / self._time_base.denominator  # whole numbers divided once: correctly rounded

    def _span(self, duration: int | None) -> float | None:
        return float(duration * self._time_base) if duration else None

    def rewind(self) -> None:
        if not self._at_start:
            self.close()
            self._open()

    def seek(self, time_s: float) -> bool:
        """Ask for the key frame at or before time_s; where it lands is for the caller to check. False: cannot seek."""
        if self._start is None:
            return False
        self._at_start = False
        try:
            self._container.seek(self._start + int(time_s / self._time_base), stream=self._stream, backward=True)
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

    def run(self, reach_s: float | None = None) -> Iterator[Timed]:
        """Decode from where the container stands: frames in rising order of time, from 0 up.

        Frames before the first key frame's time are dropped: what they refer to was not read.

        Args:
            reach_s: give up at once, without a frame, when the first key frame is later than this.
        """
        self._at_start = False
        self.key_s = None
        last_s: float | None = None
        fed = False
        for packet in self._packets(self._stream):
            if packet.size and not fed and packet.is_keyframe and packet.pts is not None:
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
                    if timed.time_s < (self.key_s or 0.0) - EPSILON_S:
                        continue
                if timed.time_s < -EPSILON_S or (last_s is not None and timed.time_s <= last_s):
                    continue
                last_s = timed.time_s
                yield timed

    def _timed(self, frame: av.VideoFrame, last_s: float | None) -> Timed:
        duration_s = self._span(frame.duration) or (1 / self.frame_rate if self.frame_rate else None)
        pts = frame.pts if frame.pts is not None else frame.dts
        if pts is None:  # elementary streams carry no times: count by the rate
            return Timed(0.0 if last_s is None else last_s + (duration_s or 0.04), duration_s, frame)
        if self._start is None:
            self._start = pts
        return Timed(self._seconds(pts), duration_s, frame)

    def measure_end(self) -> tuple[float, float | None]:
        """End of the last video packet, read at the end of the file without decoding, and the end the file claims.

        Where neither seeking nor the claim helps, all packets are read once.
        """
        claimed_s = self._claimed_s()
        for back_s in (1.0, 10.0, 60.0, 600.0):
            at_s = (claimed_s or 0.0) - back_s
            if at_s <= 0 or not self.seek(at_s):
                break
            end_s = self._last_end()
            if end_s is not None:
                return end_s, claimed_s
        self.rewind()
        return self._last_end() or 0.0, claimed_s

    def _claimed_s(self) -> float | None:
        if self._stream.duration:
            return float(self._stream.duration * self._time_base)
        if self._container.duration and not self.has_audio:
            return self._container.duration / av.time_base
        return self._container.duration / av.time_base if self._container.duration else None

    def _last_end(self) -> float | None:
        self._at_start = False
        step = self._span(1) and (1 / self.frame_rate if self.frame_rate else 0.0)
        end_s = None
        for packet in self._packets(self._stream):
            if packet.pts is not None and packet.size and not packet.is_discard:
                end_s = max(end_s or 0.0, self._seconds(packet.pts) + (self._span(packet.duration) or step or 0.0))
        return end_s

    def close(self) -> None:
        self._container.close()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__

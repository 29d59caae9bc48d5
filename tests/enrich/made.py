"""Small films whose sound and writing begin at known seconds."""

from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

RATE_HZ = 44_100
TICKS = Fraction(1, 90_000)


def tone(path, *, at_s=2.0, delay_s=0.0, origin_s=0, length_s=5.0):
    """A grey film of 6 s; a tone of half a second at `at_s`; the sound begins at delay_s, the picture at origin_s."""
    silence = np.zeros(int(RATE_HZ * length_s), np.float32)
    first, count = int((at_s - delay_s) * RATE_HZ), RATE_HZ // 2
    silence[first : first + count] = 0.5 * np.sin(2 * np.pi * 440 * np.arange(count) / RATE_HZ)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.time_base = video.codec_context.time_base = TICKS
        audio = out.add_stream("aac", rate=RATE_HZ)
        for i in range(60):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i * 4, np.uint8), format="rgb24")
            frame.pts, frame.time_base = (origin_s * 10 + i) * 9000, TICKS
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(silence[None], format="fltp", layout="mono")
        sound.sample_rate, sound.pts = RATE_HZ, int((delay_s + origin_s) * RATE_HZ)
        sound.time_base = Fraction(1, RATE_HZ)
        out.mux(audio.encode(sound))
        out.mux(audio.encode(None))
    return path


def with_lines(film, lines, target):
    """The picture of a film with the text of a subtitle file as a stream of its own."""
    with av.open(str(film)) as source, av.open(str(lines)) as said, av.open(str(target), "w") as out:
        streams = [out.add_stream_from_template(one) for one in (source.streams.video[0], said.streams.subtitles[0])]
        for packets, stream in zip((source.demux(video=0), said.demux()), streams, strict=True):
            for packet in packets:
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
    return target


def signs(path, shown, *, length_s=9, size=(640, 360)):
    """A film at 5 fps; shown: (text, start_s, end_s, (x, y)) signs on a plain ground."""
    font = ImageFont.load_default(36)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=5)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        for i in range(length_s * 5):
            picture = Image.new("RGB", size, (40, 60, 80))
            for text, start_s, end_s, place in shown:
                if start_s <= i / 5 < end_s:
                    ImageDraw.Draw(picture).text(place, text, fill="white", font=font)
            out.mux(video.encode(av.VideoFrame.from_image(picture)))
        out.mux(video.encode(None))
    return path

"""What is wrong with a file is said in one line, by the right error, and nothing is made up."""

from __future__ import annotations

import os
import struct
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest
from media_clips import number_of, numbered, write
from PIL import Image

from data.errors import CorruptMedia, MediaError, MediaTooLarge, MissingMedia, UnsupportedMedia, UsageError
from data.media import open_media, picture, probe, sniff
from data.types import Box


def fails(path, kind, *words, **options):
    with pytest.raises(kind) as caught:
        probe(path, **options)
    message = str(caught.value)
    assert isinstance(caught.value, MediaError) and "\n" not in message and len(message) < 500
    for word in (path.name[:5], *words):
        assert word in message
    return message


def make(path, content: bytes):
    path.write_bytes(content)
    return path


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def test_paths(tmp_path):
    fails(tmp_path / "missing.mp4", MissingMedia, "does not exist")
    fails(tmp_path, UnsupportedMedia, "folder")
    os.mkfifo(tmp_path / "pipe.mp4")
    fails(tmp_path / "pipe.mp4", UnsupportedMedia, "regular")
    fails(make(tmp_path / "empty.mp4", b""), CorruptMedia, "empty")
    fails(make(tmp_path / "notes.txt", b"hello"), UnsupportedMedia)
    assert sniff(tmp_path / "notes.txt") is None and sniff(tmp_path) is None
    assert sniff(tmp_path / "missing.mp4") == "video"


def test_permission(tmp_path):
    path = make(tmp_path / "secret.png", png_header(8, 8))
    path.chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            fails(path, MissingMedia, "permission")
        finally:
            os.seteuid(0)
    else:
        fails(path, MissingMedia, "permission")


def test_text_named_as_media(tmp_path):
    fails(make(tmp_path / "notes.mp4", b"just words\n" * 500), UnsupportedMedia, "content")
    fails(make(tmp_path / "notes.jpg", b"just words\n" * 500), UnsupportedMedia)
    fails(make(tmp_path / "noise.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20), CorruptMedia)


def test_playlists_open_nothing_else(tmp_path):
    """A list that names other files or addresses is not a video, whatever it is called."""
    real = write(tmp_path / "real.mp4", [0, 1, 2])
    fails(make(tmp_path / "list1.mp4", f"#EXTM3U\n#EXTINF:1,\n{real}\n".encode()), UnsupportedMedia)
    fails(make(tmp_path / "list2.mp4", f"ffconcat version 1.0\nfile {real}\n".encode()), UnsupportedMedia)


def test_truncated_mp4(tmp_path):
    whole = write(tmp_path / "w.mp4", list(range(100))).read_bytes()
    fails(make(tmp_path / "cut.mp4", whole[: len(whole) // 2]), CorruptMedia, "index")


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_truncated_but_readable_gives_what_there_is_and_says_so(tmp_path, suffix):
    muxer = {"movflags": "faststart"} if suffix == "mp4" else {}
    whole = write(tmp_path / f"w.{suffix}", list(range(500)), options={"g": "25"}, muxer=muxer).read_bytes()
    path = make(tmp_path / f"cut.{suffix}", whole[: len(whole) // 2])
    with open_media(path) as source:
        frames = list(source.frames(short_side=24))
        assert 100 < len(frames) < 400
        assert [number_of(f.rgb) for f in frames[:-3]] == list(range(len(frames) - 3))
        assert source.info.duration_s == pytest.approx(frames[-1].time_s + 0.04, abs=0.2)
        assert number_of(source.frame_at(1e6, short_side=24).rgb) == number_of(frames[-1].rgb)
        if suffix != "ts":  # a transport stream states no length
            assert "of 20.0 s" in source.warnings[0]


def test_damage_in_the_middle_costs_only_the_middle(tmp_path):
    content = bytearray(write(tmp_path / "w.ts", list(range(500)), options={"g": "25"}).read_bytes())
    for start in range(len(content) // 3, len(content) // 3 + 4000, 50):
        content[start : start + 20] = os.urandom(20)
    with open_media(make(tmp_path / "hurt.ts", bytes(content))) as source:
        frames = list(source.frames(short_side=24))
    assert len(frames) > 400 and abs(frames[-1].time_s - 19.96) < 0.05
    assert [number_of(f.rgb) for f in frames[-100:]] == list(range(400, 500))


def test_nothing_decodes(tmp_path):
    content = bytearray(write(tmp_path / "w.mp4", list(range(50))).read_bytes())
    at = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[at:end] = b"\xff" * (end - at)
    fails(make(tmp_path / "noise.mp4", bytes(content)), CorruptMedia)


def test_sound_only_and_cover_art(tmp_path):
    def sound(path, cover: bool):
        with av.open(str(path), "w") as out:
            stream = out.add_stream("aac", rate=48000)
            art = out.add_stream("mjpeg", rate=1) if cover else None
            if art is not None:
                art.width, art.height, art.pix_fmt = 64, 64, "yuvj420p"
                art.disposition = 1 << 10
                frame = av.VideoFrame.from_ndarray(numbered(1, 64, 64), "rgb24")
                frame.pts, frame.time_base = 0, Fraction(1, 1)
            for start in range(0, 48000, 1024):
                block = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
                block.pts, block.sample_rate, block.time_base = start, 48000, Fraction(1, 48000)
                out.mux(stream.encode(block))
            out.mux(stream.encode())
            if art is not None:
                out.mux([*art.encode(frame), *art.encode()])
        return path

    fails(sound(tmp_path / "sound.mp4", False), UnsupportedMedia, "only sound")
    with av.open(str(sound(tmp_path / "cover.mp4", True))) as made:
        assert made.streams.video and made.streams.video[0].disposition & 1 << 10
    fails(tmp_path / "cover.mp4", UnsupportedMedia, "only sound")


def test_huge_pictures_are_refused_by_their_header(tmp_path):
    import tracemalloc

    path = make(tmp_path / "huge.png", png_header(50_000, 50_000))
    tracemalloc.start()
    fails(path, MediaTooLarge, "50000 x 50000", "200,000,000")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    Image.new("RGB", (300, 200)).save(tmp_path / "small.gif")
    fails(tmp_path / "small.gif", MediaTooLarge, "300 x 200", max_pixels=50_000)
    write(tmp_path / "video.mp4", [0, 1], size=(320, 240))
    fails(tmp_path / "video.mp4", MediaTooLarge, "320 x 240", max_pixels=50_000)


def test_over_pillows_own_limit_but_under_ours(tmp_path):
    Image.new("1", (20_000, 9_500)).save(tmp_path / "wide.png")  # 190 million pixels
    assert probe(tmp_path / "wide.png").width == 20_000


def test_extensions_that_lie(tmp_path):
    Image.fromarray(numbered(9)).save(tmp_path / "real.jpg")
    (tmp_path / "real.jpg").rename(tmp_path / "lies.png")
    assert probe(tmp_path / "lies.png").container == "jpeg" and number_of(picture(tmp_path / "lies.png")) == 9
    Image.fromarray(numbered(9)).save(tmp_path / "real.png")
    (tmp_path / "real.png").rename(tmp_path / "lies.mp4")
    assert probe(tmp_path / "lies.mp4").kind == "image" and sniff(tmp_path / "lies.mp4") == "image"
    write(tmp_path / "real.mp4", list(range(5))).rename(tmp_path / "lies.gif")
    assert probe(tmp_path / "lies.gif").kind == "video" and sniff(tmp_path / "lies.gif") == "video"
    write(tmp_path / "real.mkv", list(range(5))).rename(tmp_path / "noext")
    assert probe(tmp_path / "noext").kind == "video"


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_truncated_stills(tmp_path, suffix):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(30, 255, (300, 400, 3), dtype=np.uint8))
    image.save(tmp_path / f"w.{suffix}")
    whole = (tmp_path / f"w.{suffix}").read_bytes()
    with open_media(make(tmp_path / f"most.{suffix}", whole[: int(len(whole) * 0.8)])) as source:
        rgb = source.frame_at(None).rgb
        assert rgb[:100].mean() > 30 and "upper" in source.warnings[0]
    with (
        open_media(make(tmp_path / f"little.{suffix}", whole[: int(len(whole) * 0.2)])) as source,
        pytest.raises(CorruptMedia),
    ):
        source.frame_at(None)


def test_truncated_gif(tmp_path):
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 255, (60, 60), dtype=np.uint8)) for _ in range(10)]
    frames[0].save(tmp_path / "w.gif", save_all=True, append_images=frames[1:], duration=100)
    whole = (tmp_path / "w.gif").read_bytes()
    with open_media(make(tmp_path / "cut.gif", whole[: len(whole) // 2])) as source:
        assert 3 <= len(list(source.frames())) <= 6
        assert "could be decoded" in source.warnings[0]


def test_names_and_facts_that_are_not_utf8(tmp_path):
    folder = os.fsencode(tmp_path)
    whole = write(tmp_path / "w.mp4", list(range(30)), metadata={"title": "QQQQ"}).read_bytes()
    from pathlib import Path

    path = Path(os.fsdecode(folder + b"/caf\xe9\n.mp4"))
    path.write_bytes(whole.replace(b"QQQQ", b"\xe9\xff\xfe\x80"))
    with open_media(path) as source:
        assert number_of(source.frame_at(0.4).rgb) == 10
        source.info.tags["title"].encode("utf-8")
    path.write_bytes(b"")
    with pytest.raises(CorruptMedia) as caught:
        probe(path)
    str(caught.value).encode("utf-8")
    assert "\n" not in str(caught.value)


def test_unknown_duration_is_measured(tmp_path):
    whole = write(tmp_path / "w.webm", list(range(100)), codec="libvpx-vp9", options={"cpu-used": "8"},
                  muxer={"live": "1"})  # fmt: skip
    with av.open(str(whole)) as opened:
        assert not opened.duration
    assert probe(whole).duration_s == pytest.approx(4.0, abs=0.05)
    raw = write(tmp_path / "w.h264", list(range(100)))
    assert probe(raw).duration_s == pytest.approx(4.0, abs=0.2)


def test_bad_seconds_boxes_and_ranges(tmp_path):
    video = write(tmp_path / "v.mp4", list(range(50)))
    Image.fromarray(numbered(9)).save(tmp_path / "p.png")
    for arguments, word in [
        ({"at_s": 2.5}, "lasts 2.000 s"),
        ({"at_s": -1.0}, "-1"),
        ({"box": Box(0, 0, 0, 5)}, "0,0,0,5"),
        ({"box": Box(190, 0, 5, 5)}, "192 x 108"),
    ]:
        with pytest.raises(UsageError, match=word):
            picture(video, **arguments)
    with pytest.raises(UsageError, match="still"):
        picture(tmp_path / "p.png", at_s=1.0)
    with open_media(video) as source:
        for bad in ({"rate_fps": 0.0}, {"start_s": -1.0}, {"start_s": 2.0, "end_s": 1.0}, {"short_side": 0}):
            with pytest.raises(UsageError):
                list(source.frames(**bad))

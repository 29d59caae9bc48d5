"""Every container and codec through the same questions: is this frame the one that is on screen then?"""

from __future__ import annotations

import bisect
import random
from fractions import Fraction

import numpy as np
import pytest
from media_clips import number_of, numbered, write

from data.media import open_media, picture, probe, thumbnail_jpeg
from data.types import Box


def on_screen(times_s: list[float], at_s: float) -> int:
    return max(0, bisect.bisect_right(times_s, at_s + 1e-6) - 1)


def test_every_frame_has_its_own_time(clip):
    with open_media(clip.path) as source:
        frames = list(source.frames())
        assert [number_of(frame.rgb) for frame in frames] == list(range(len(clip.times_s)))
        assert np.allclose([frame.time_s for frame in frames], clip.times_s, atol=clip.tick_s / 2 + 1e-6)
        assert np.allclose([f.duration_s for f in frames[:-1]], np.diff(clip.times_s), atol=clip.tick_s + 1e-6)
        assert source.warnings == ()
        last_s = frames[-1].time_s + clip.gap_s
        assert source.info.duration_s == pytest.approx(last_s, abs=clip.gap_s * 7)
        assert source.info.duration_s > frames[-1].time_s


@pytest.mark.parametrize("rate_fps", [2.0, 7.3])
def test_sampling_takes_what_is_on_screen_at_the_grid(clip, rate_fps):
    with open_media(clip.path) as source:
        times = [frame.time_s for frame in source.frames(short_side=16)]
        got = list(source.frames(rate_fps=rate_fps, luma=True))
    end_s = times[-1] + clip.gap_s
    grid = [k / rate_fps for k in range(int(end_s * rate_fps) + 1) if k / rate_fps < end_s - 1e-6]
    wanted = sorted({on_screen(times, at_s) for at_s in grid})
    assert [number_of(frame.rgb) for frame in got if frame.rgb is not None] == wanted
    assert [number_of(frame.luma) for frame in got] == list(range(len(times)))


def test_a_range_begins_with_the_frame_on_screen(clip):
    dice = random.Random(1)
    with open_media(clip.path) as source:
        times = [frame.time_s for frame in source.frames(short_side=16)]
        for _ in range(6):
            start_s = dice.uniform(0, times[-1])
            end_s = start_s + dice.uniform(0.01, 1.0)
            wanted = list(range(on_screen(times, start_s), bisect.bisect_left(times, end_s - 1e-6)))
            assert [number_of(f.rgb) for f in source.frames(start_s=start_s, end_s=end_s)] == wanted
        # half-open: a frame that begins at the end is not in it
        assert [f.time_s for f in source.frames(start_s=times[10], end_s=times[12])] == times[10:12]


def test_frame_at_any_second_and_on_every_boundary(clip):
    dice = random.Random(2)
    with open_media(clip.path) as source:
        times = [frame.time_s for frame in source.frames(short_side=16)]
        asked = [dice.uniform(0, times[-1]) for _ in range(12)] + times[::9] + [t - 1e-4 for t in times[9::18]]
        asked += [0.0, times[-1], times[-1] + 100.0]
        for at_s in asked:
            frame = source.frame_at(at_s)
            assert number_of(frame.rgb) == on_screen(times, at_s), at_s
            assert frame.time_s == times[on_screen(times, at_s)]
        assert number_of(source.frame_at(None).rgb) == 0


def test_a_seek_gives_the_same_pixels_as_decoding_through(clip):
    with open_media(clip.path) as source:
        through = list(source.frames())
        for frame in through[::5]:
            sought = next(iter(source.frames(start_s=frame.time_s, end_s=frame.time_s + 0.01)))
            assert sought.time_s == frame.time_s
            assert np.array_equal(sought.rgb, frame.rgb), frame.time_s


def quadrants(_: int, width: int, height: int) -> np.ndarray:
    """Red, green / blue, white: says which corner went where."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    return pixels


def corners(rgb: np.ndarray) -> list[str]:
    height, width = rgb.shape[:2]
    names = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white"}
    points = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [names[tuple(int(v > 128) for v in rgb[point])] for point in points]


@pytest.mark.parametrize(
    ("counter_clockwise", "clockwise", "wanted"),
    [
        (0, 0, ["red", "green", "blue", "white"]),
        (-90, 90, ["blue", "red", "white", "green"]),
        (180, 180, ["white", "blue", "green", "red"]),
        (90, 270, ["green", "white", "red", "blue"]),
    ],
)
def test_rotation_is_applied(tmp_path, counter_clockwise, clockwise, wanted):
    path = write(tmp_path / "r.mp4", list(range(5)), rotate_deg=counter_clockwise, picture=quadrants)
    with open_media(path) as source:
        info = source.info
        frame = next(iter(source.frames(luma=True, short_side=54)))
    assert info.rotation_deg == clockwise
    assert (info.width, info.height) == ((108, 192) if clockwise % 180 else (192, 108))
    assert corners(frame.rgb) == wanted
    assert (frame.luma.shape[0] > frame.luma.shape[1]) == bool(clockwise % 180)
    assert min(frame.rgb.shape[:2]) == 54


def test_sample_aspect_gives_the_display_shape(tmp_path):
    wide = write(tmp_path / "w.mp4", list(range(5)), size=(180, 144), sample_aspect=Fraction(16, 11))
    tall = write(tmp_path / "t.mkv", list(range(5)), size=(180, 144), sample_aspect=Fraction(1, 2))
    assert (probe(wide).width, probe(wide).height) == (262, 144)
    assert (probe(tall).width, probe(tall).height) == (180, 288)
    assert picture(wide).shape == (144, 262, 3)
    assert picture(tall).shape == (288, 180, 3)


@pytest.mark.parametrize("size", [(320, 240), (1280, 720)])
def test_colours_survive(tmp_path, size):
    """x264 writes BT.601 numbers here and says nothing of it below; at 720 lines it says BT.601 outright."""
    wanted = np.array([200, 60, 30])
    path = tmp_path / "c.mp4"
    write(path, [0, 1], size=size, options={"colorspace": "smpte170m"},
          picture=lambda _, w, h: np.full((h, w, 3), wanted, np.uint8))  # fmt: skip
    assert np.abs(picture(path).reshape(-1, 3).mean(axis=0) - wanted).max() < 4


def test_edit_list_cuts_what_a_player_does_not_show(tmp_path):
    """Ten frames before zero stay in the file for decoding, and are not shown."""
    path = write(
        tmp_path / "e.mp4",
        list(range(60)),
        shift=-10,
        options={"g": "60", "x264-params": "bframes=0"},
        muxer={"use_editlist": "1", "avoid_negative_ts": "disabled"},
    )
    with open_media(path) as source:
        frames = list(source.frames())
        assert [number_of(f.rgb) for f in frames] == list(range(10, 60))
        assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(50)])
        assert number_of(source.frame_at(1.0).rgb) == 35
        assert source.info.duration_s == pytest.approx(2.0, abs=0.01)


def test_iterations_do_not_disturb_each_other(tmp_path):
    path = write(tmp_path / "p.mp4", list(range(100)))
    with open_media(path) as source:
        first, second = source.frames(), source.frames(start_s=2.0)
        seen = []
        for _ in range(5):
            seen.append((number_of(next(first).rgb), number_of(next(second).rgb), number_of(source.frame_at(3.0).rgb)))
        first.close()
        assert seen == [(i, 50 + i, 75) for i in range(5)]
        assert number_of(next(source.frames()).rgb) == 0


def test_closing_early_frees_the_file(tmp_path):
    import psutil

    path = write(tmp_path / "f.mp4", list(range(50)))
    source = open_media(path)
    for _ in range(3):
        frames = source.frames()
        next(frames)
        frames.close()
    source.close()
    assert str(path) not in [file.path for file in psutil.Process().open_files()]


def test_facts_of_the_container(tmp_path):
    path = write(
        tmp_path / "m.mp4",
        [0, 1],
        sound_s=0.2,
        metadata={"title": "A\u202e \x07title\n of two", "creation_time": "2024-05-01T10:00:00Z",
                  "location": "+48.8577-002.2950/"},
    )  # fmt: skip
    info = probe(path)
    assert info.has_audio and info.codec == "h264" and info.kind == "video"
    assert info.captured_at.startswith("2024-05-01T10:00:00")
    assert info.tags["title"] == "A title of two"
    assert (info.tags["latitude"], info.tags["longitude"]) == ("48.857700", "-2.295000")


def test_thumbnail_and_box(tmp_path):
    import io

    from PIL import Image

    path = write(tmp_path / "x.mp4", list(range(50)), size=(640, 360))
    thumbnail = Image.open(io.BytesIO(thumbnail_jpeg(path, 1.0)))
    assert thumbnail.size == (320, 180) and number_of(np.asarray(thumbnail)) == 25
    cut = picture(path, at_s=1.0, box=Box(10, 20, 300, 100))
    assert np.array_equal(cut, picture(path, at_s=1.0)[20:120, 10:310])


def test_the_drawn_number_can_be_read():
    assert [number_of(numbered(n)) for n in (0, 1, 1234, 4095)] == [0, 1, 1234, 4095]
    assert number_of(numbered(77)) != number_of(numbered(78))

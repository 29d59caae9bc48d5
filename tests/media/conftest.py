"""The clips, made once a session. Their truth is arithmetic on the ticks they were written with."""

from __future__ import annotations

from fractions import Fraction

import pytest
from media_clips import Clip, write

CONSTANT = list(range(110))
VARIABLE = [sum((1, 2, 7, 1, 3)[i % 5] for i in range(n)) for n in range(90)]  # 40 to 280 ms each
CLOSED = {"g": "24", "x264-params": "open-gop=0:bframes=3:b-adapt=0:scenecut=0"}
OPEN = {"g": "24", "x264-params": "open-gop=1:keyint=24:min-keyint=24:bframes=3:b-adapt=0:scenecut=0"}
LONG = {"g": "1000", "x264-params": "keyint=1000:scenecut=0:bframes=2"}
HEVC = {"x265-params": "log-level=none:keyint=24:open-gop=1:bframes=3"}
NTSC = Fraction(1001, 30000)

# name -> (file, ticks, tolerance of the container's clock, keywords of write)
CLIPS = {
    "mp4": ("a.mp4", CONSTANT, 0, {"options": CLOSED}),
    "mov_no_editlist": ("a.mov", CONSTANT, 0, {"options": CLOSED, "muxer": {"use_editlist": "0"}}),
    "mp4_open_gop": ("b.mp4", CONSTANT, 0, {"options": OPEN}),
    "mp4_sound": ("c.mp4", CONSTANT, 0, {"options": CLOSED, "sound_s": 6.0}),
    "mp4_fragmented": ("d.mp4", CONSTANT, 0, {"options": CLOSED, "muxer": {"movflags": "frag_keyframe+empty_moov"}}),
    "mp4_vfr": ("e.mp4", VARIABLE, 0, {"options": CLOSED}),
    "mp4_ntsc": ("f.mp4", CONSTANT, 0, {"options": OPEN, "time_base": NTSC}),
    "mp4_long_gop": ("g.mp4", CONSTANT, 0, {"options": LONG}),
    "mp4_10bit": ("h.mp4", CONSTANT, 0, {"options": CLOSED, "pix_fmt": "yuv420p10le"}),
    "mp4_odd": ("i.mp4", CONSTANT, 0, {"options": CLOSED, "pix_fmt": "yuv444p", "size": (193, 107)}),
    "mp4_hevc": ("j.mp4", CONSTANT, 0, {"codec": "libx265", "options": HEVC}),
    "mp4_av1": ("k.mp4", CONSTANT[:60], 0, {"codec": "libsvtav1", "options": {"preset": "8", "g": "24", "crf": "12"}}),
    "mp4_late": ("l.mp4", CONSTANT, 0, {"options": CLOSED, "shift": 20}),
    "mkv_open_gop": ("a.mkv", CONSTANT, 0.001, {"options": OPEN}),
    "mkv_vfr": ("b.mkv", VARIABLE, 0.001, {"options": CLOSED}),
    "mkv_start": ("c.mkv", CONSTANT, 0.001, {"options": OPEN, "shift": 250, "sound_s": 1.0}),
    "webm_vp9": ("a.webm", CONSTANT, 0.001, {"codec": "libvpx-vp9", "options": {"g": "30", "cpu-used": "8"}}),
    "avi_mpeg4": ("a.avi", CONSTANT, 0, {"codec": "mpeg4", "options": {"g": "24"}, "bframes": 2}),
    "avi_mjpeg": ("b.avi", CONSTANT, 0, {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    "avi_h264": ("c.avi", CONSTANT, 0, {"options": CLOSED}),
    "ts_closed": ("a.ts", CONSTANT, 0.0001, {"options": CLOSED}),
    "ts_open_gop": ("b.ts", CONSTANT, 0.0001, {"options": OPEN, "shift": 500}),
    "ts_long_gop": ("c.ts", CONSTANT, 0.0001, {"options": LONG}),
    "ts_vfr": ("d.ts", VARIABLE, 0.0001, {"options": CLOSED}),
    "ts_mpeg2": ("e.ts", CONSTANT, 0.0001, {"codec": "mpeg2video", "options": {"g": "15"}, "bframes": 2}),
    "mpg": ("a.mpg", CONSTANT, 0.0001, {"codec": "mpeg2video", "options": {"g": "15"}, "bframes": 2}),
    "mpg_long": ("b.mpg", list(range(400)), 0.0001, {"codec": "mpeg2video", "options": {"g": "15"}, "bframes": 2}),
    "flv": ("a.flv", CONSTANT, 0.001, {"options": CLOSED}),
    "mkv_ffv1": ("d.mkv", CONSTANT[:50], 0.001, {"codec": "ffv1", "pix_fmt": "yuv422p"}),
}


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session", params=CLIPS)
def clip(request, clip_folder) -> Clip:
    file, ticks, tick_s, keywords = CLIPS[request.param]
    time_base = keywords.get("time_base", Fraction(1, 25))
    write(clip_folder / file, ticks, **keywords)
    times = [float((tick - ticks[0]) * time_base) for tick in ticks]
    return Clip(clip_folder / file, times, tick_s, gap_s=float(time_base))

"""Sound and subtitles stand on the timeline of the picture."""

import time

import numpy as np
import pytest

from data.media.audio import sound
from data.media.subtitles import beside, embedded, read_file, spans_of
from tests.enrich.made import tone, with_lines

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>你好</i>，世界

2
00:00:03,000 --> 00:00:04,000
{\\an8}A second <b>line</b>

3
00:00:09,000 --> 00:00:10,000
outside
"""


def loud_s(path, **how):
    """Seconds at which it is loud: the first and the last."""
    found = [
        piece.start_s + np.flatnonzero(np.abs(piece.samples) > 0.2) / 16_000
        for piece in sound(path, rate_hz=16_000, **how)
    ]
    every = np.concatenate(found)
    return every[0], every[-1]


@pytest.mark.parametrize(
    "name, how",
    [
        ("plain.mp4", {}), ("late.mp4", {"delay_s": 1.0}), ("late.mkv", {"delay_s": 1.0}),
        ("offset.ts", {"origin_s": 10}), ("offset_late.ts", {"origin_s": 10, "delay_s": 1.0}),
    ],
)  # fmt: skip
def test_a_tone_is_heard_at_its_second(tmp_path, name, how):
    first_s, last_s = loud_s(tone(tmp_path / name, **how))
    assert first_s == pytest.approx(2.0, abs=0.01) and last_s == pytest.approx(2.5, abs=0.01)


def test_pieces_are_cut_where_it_is_quiet_and_lose_nothing(tmp_path):
    path = tone(tmp_path / "a.mkv", at_s=1.0)
    whole = np.concatenate([piece.samples for piece in sound(path, rate_hz=16_000)])
    pieces = list(sound(path, rate_hz=16_000, piece_s=1.3))
    assert len(pieces) > 2
    np.testing.assert_array_equal(np.concatenate([piece.samples for piece in pieces]), whole)
    ends = [piece.start_s + len(piece.samples) / 16_000 for piece in pieces]
    assert [piece.start_s for piece in pieces[1:]] == pytest.approx(ends[:-1])
    assert not any(1.0 < end_s < 1.5 for end_s in ends), "not within the tone"


def test_a_film_without_sound_gives_none(tmp_path):
    from tests.enrich.made import signs

    assert list(sound(signs(tmp_path / "mute.mp4", []), rate_hz=16_000)) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_subtitles_beside_a_film(tmp_path, encoding):
    film = tone(tmp_path / "a.mp4")
    (tmp_path / "a.zh.srt").write_bytes(SRT.encode(encoding))
    (tmp_path / "ab.srt").write_text(SRT)
    assert [file.name for file in beside(film)] == ["a.zh.srt"]
    spans, told = spans_of(film, 6.0)
    assert [(s.text, s.start_s, s.end_s, s.language) for s in spans] == [
        ("你好，世界", 1.0, 2.5, "zh"), ("A second line", 3.0, 4.0, "zh"),
    ]  # fmt: skip
    assert len(told) == 1 and "a.zh.srt" in told[0]


@pytest.mark.parametrize("text", ["", "\x00\xff" * 50, "1\n00:00:xx --> 5\nhello", "WEBVTT\n\nNOTE nothing"])
def test_broken_subtitles_are_told_and_passed_over(tmp_path, text):
    film = tone(tmp_path / "a.mp4")
    (tmp_path / "a.srt").write_text(text, encoding="latin-1")
    assert spans_of(film, 6.0)[0] == []


@pytest.mark.parametrize("suffix", ["srt", "ass", "vtt"])
def test_a_line_of_a_million_open_tags_costs_no_time(tmp_path, suffix):
    line = "hello " + "{\\" * 500_000
    head = "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n\n[Events]\n"
    fields = "Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text"
    text = {
        "srt": f"1\n00:00:01,000 --> 00:00:02,000\n{line}\n",
        "vtt": f"WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n{line}\n",
        "ass": f"{head}Format: {fields}\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{line}\n",
    }[suffix]
    (tmp_path / f"a.{suffix}").write_text(text)
    started_s = time.process_time()
    (span,) = read_file(tmp_path / f"a.{suffix}", 6.0)[0]
    assert span.text.startswith("hello") and time.process_time() - started_s < 5


def test_an_embedded_line_of_open_tags_costs_no_time(tmp_path):
    lines = tmp_path / "x.srt"
    lines.write_text("1\n00:00:01,000 --> 00:00:02,000\nhello " + "{\\" * 200_000 + "\n")
    target = with_lines(tone(tmp_path / "a.mp4"), lines, tmp_path / "b.mkv")
    started_s = time.process_time()
    (span,) = embedded(target, 6.0)
    assert span.text.startswith("hello") and time.process_time() - started_s < 5


@pytest.mark.parametrize("suffix, codec, origin_s", [("mkv", "srt", 10), ("mp4", "mov_text", 0)])
def test_subtitles_inside_a_film(tmp_path, suffix, codec, origin_s):
    import av

    film = tone(tmp_path / "a.ts", origin_s=origin_s)
    (tmp_path / "x.srt").write_text(SRT)
    target = tmp_path / f"b.{suffix}"
    with av.open(str(film)) as source, av.open(str(tmp_path / "x.srt")) as lines, av.open(str(target), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0])
        if codec == "srt":
            text = out.add_stream_from_template(lines.streams.subtitles[0])
        else:
            pytest.skip("this library writes no mov_text")
        start = source.streams.video[0].start_time
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = video
                out.mux(packet)
        for packet in lines.demux():
            if packet.dts is not None:
                packet.pts += round(float(start * source.streams.video[0].time_base) / float(packet.time_base))
                packet.dts = packet.pts
                packet.stream = text
                out.mux(packet)
    spans, _ = spans_of(target, 6.0)
    assert [(s.text, s.source) for s in spans] == [("你好，世界", "embedded"), ("A second line", "embedded")]
    assert [s.start_s for s in spans] == pytest.approx([1.0, 3.0], abs=0.05)

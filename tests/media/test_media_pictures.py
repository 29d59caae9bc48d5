"""Stills and animations: every mode, orientation and delay as a viewer shows them."""

from __future__ import annotations

import numpy as np
import pytest
from media_clips import number_of, numbered
from PIL import Image

from data.media import open_media, picture, probe, sniff
from data.types import Box

DELAYS_MS = [40, 120, 80, 500, 60, 200, 100, 90]


def save_animation(path, delays_ms=DELAYS_MS, **options):
    frames = [Image.fromarray(numbered(i, 120, 60)) for i in range(len(delays_ms))]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=delays_ms, loop=0, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.gif", {}),
        ("a.png", {}),
        ("d.png", {"default_image": True}),
        ("a.webp", {"lossless": True}),
        ("a.avif", {"quality": 95}),
    ],
)
def test_delays_of_the_file_are_the_times(tmp_path, name, options):
    delays = DELAYS_MS
    path = save_animation(tmp_path / name, delays, **options)
    first = 1 if options.get("default_image") else 0  # the picture for viewers that cannot animate is not shown
    if first:
        delays = delays[:-1]
    starts = [sum(delays[:i]) / 1000 for i in range(len(delays))]
    with open_media(path) as source:
        assert source.info.kind == "gif" and (source.info.width, source.info.height) == (120, 60)
        assert source.info.duration_s == pytest.approx(sum(delays) / 1000, abs=0.002)
        frames = list(source.frames())
        assert [number_of(f.rgb) for f in frames] == list(range(first, first + len(delays)))
        assert [f.time_s for f in frames] == pytest.approx(starts, abs=0.002)
        assert [f.duration_s for f in frames] == pytest.approx([d / 1000 for d in delays], abs=0.002)
        for at_s in (0.0, 0.1, 0.3, 0.6, 0.9, 50.0):
            index = max(i for i, start in enumerate(starts) if start <= at_s)
            assert number_of(source.frame_at(at_s).rgb) == first + index
        grid = {max(i for i, s in enumerate(starts) if s <= k / 5) for k in range(int(sum(delays) / 200) + 1)
                if k / 5 < sum(delays) / 1000}  # fmt: skip
        sampled = [f for f in source.frames(rate_fps=5, luma=True) if f.rgb is not None]
        assert [number_of(f.rgb) for f in sampled] == [first + i for i in sorted(grid)]
        part = list(source.frames(start_s=starts[2] + 0.001, end_s=starts[4]))
        assert [number_of(f.rgb) for f in part] == [first + 2, first + 3]
    assert sniff(path) == "gif"


def test_zero_delays_are_what_browsers_show(tmp_path):
    path = save_animation(tmp_path / "z.gif", [0, 10, 20, 0])
    with open_media(path) as source:
        assert [f.time_s for f in source.frames()] == pytest.approx([0, 0.1, 0.2, 0.22])
        assert source.info.duration_s == pytest.approx(0.32)


@pytest.mark.parametrize("name", ["one.gif", "one.webp", "one.avif", "one.png"])
def test_one_frame_is_an_image(tmp_path, name):
    Image.fromarray(numbered(5)).save(tmp_path / name)
    info = probe(tmp_path / name)
    assert info.kind == "image" and info.duration_s is None
    with open_media(tmp_path / name) as source:
        (frame,) = source.frames(rate_fps=2, luma=True)
        assert frame.time_s is None and number_of(frame.rgb) == 5 and number_of(frame.luma) == 5


def test_disposal_composites(tmp_path):
    """A frame that only paints a corner leaves the rest of the one before, unless that is disposed of."""
    whole, corner = Image.new("RGBA", (40, 40), (255, 0, 0, 255)), Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    whole.putpixel((39, 0), (0, 0, 0, 0))
    corner.paste((0, 0, 255, 255), (0, 0, 20, 20))
    for disposal, rest in ((1, [255, 0, 0]), (2, [255, 255, 255])):
        path = tmp_path / f"{disposal}.gif"
        whole.save(path, save_all=True, append_images=[corner], duration=100, disposal=disposal)
        with open_media(path) as source:
            second = list(source.frames())[1].rgb
        assert second[5, 5].tolist() == [0, 0, 255]
        assert second[30, 30].tolist() == rest


@pytest.mark.parametrize("name", ["p.jpg", "p.png", "p.webp", "p.avif", "p.bmp", "p.tif", "p.heic"])
def test_every_still_format(tmp_path, name):
    if name.endswith("heic"):
        pytest.importorskip("pillow_heif").register_heif_opener()
    path = tmp_path / name
    Image.fromarray(numbered(1234, 240, 120)).save(path, quality=95)
    info = probe(path)
    assert (info.kind, info.width, info.height, info.duration_s) == ("image", 240, 120, None)
    assert number_of(picture(path)) == 1234 and picture(path).shape == (120, 240, 3)
    with open_media(path) as source:
        small = source.frame_at(None, short_side=30).rgb
        assert small.shape == (30, 60, 3) and number_of(small) == 1234
        assert source.frame_at(None, short_side=999).rgb.shape == (120, 240, 3)
    assert sniff(path) == "image"
    assert number_of(picture(path, box=Box(0, 0, 240, 10))) == 1234


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation(tmp_path, suffix, turn):
    """What a camera held at each of the eight orientations stored comes back upright."""
    upright = np.full((60, 90, 3), 255, np.uint8)
    upright[:30, :45], upright[:30, 45:], upright[30:, :45] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright, 1), 7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[turn]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / f"o.{suffix}"
    image = Image.fromarray(np.ascontiguousarray(stored))
    image.save(path, exif=exif, quality=95)
    info, got = probe(path), picture(path)
    assert (info.width, info.height) == (90, 60) and got.shape == (60, 90, 3)
    assert np.abs(got.astype(int) - upright)[[10, 10, 50, 50], [10, 80, 10, 80]].max() < 40


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"])
def test_modes_become_rgb_on_white(tmp_path, mode):
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (32, 1))
    path = tmp_path / ("m.tif" if mode in ("CMYK", "F", "I", "YCbCr") else "m.png")
    wanted = ramp
    if mode in ("I;16", "I"):
        image = Image.fromarray(ramp.astype(np.uint16) * 257)
        image = image if mode == "I;16" else Image.fromarray(ramp.astype(np.int32) * 257)
    elif mode == "F":
        image = Image.fromarray(ramp.astype(np.float32) / 255)
    elif mode == "1":
        wanted = (ramp > 127) * 255
        image = Image.fromarray(wanted.astype(np.uint8)).convert("1", dither=Image.Dither.NONE)
    elif mode in ("LA", "RGBA"):
        image = Image.new(mode, (64, 32))
        image.putalpha(Image.fromarray(255 - ramp))  # black on white, ever more transparent
    elif mode == "P":
        image = Image.fromarray(ramp).convert("RGB").quantize(256)
    else:
        image = Image.fromarray(ramp).convert("RGB").convert(mode)
    image.save(path)
    got = picture(path)
    assert got.shape == (32, 64, 3) and got.dtype == np.uint8
    assert np.abs(got.astype(int) - np.asarray(wanted)[..., None]).max() <= 12


def test_first_page_of_many(tmp_path):
    pages = [Image.fromarray(numbered(i)) for i in (7, 8)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    assert probe(tmp_path / "pages.tif").kind == "image" and number_of(picture(tmp_path / "pages.tif")) == 7


def test_facts_of_a_photograph(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x010E] = "Maker", "Maker 5", "A \x1b[31mred\x00 title\n" + "x" * 5000
    exif.get_ifd(0x8769).update({0x9003: "2023:07:01 12:34:56", 0x9011: "+02:00", 0xA434: "35 mm"})
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 30.0, 0.0), 3: "E", 4: (151.0, 0.0, 36.0)})
    Image.new("RGB", (8, 8)).save(tmp_path / "e.jpg", exif=exif)
    info = probe(tmp_path / "e.jpg")
    assert info.captured_at == "2023-07-01T12:34:56+02:00"
    assert (info.tags["camera"], info.tags["lens"]) == ("Maker 5", "35 mm")
    assert (info.tags["latitude"], info.tags["longitude"]) == ("-33.500000", "151.010000")
    assert info.tags["title"].isprintable() and len(info.tags["title"]) <= 200

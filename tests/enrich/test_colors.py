"""Colours: what a picture is mostly of, what people call it, and how much of a wanted colour is in it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.colors import NAMES, dominant, name_of, parse, share
from data.types import Color
from indexer.describe import spread_pixels

PRODUCTS = Path(__file__).parents[2] / "data" / "samples" / "products"


def pixels_of(path):
    return spread_pixels(np.asarray(Image.open(path).convert("RGB")), 64)


@pytest.mark.parametrize(
    "text, name",
    [("Red", "red"), (" grey ", "gray"), ("navy", "blue"), ("红色", "red"), ("米色", "beige"), ("teal", "turquoise")],
)
def test_words_for_colours_in_english_and_chinese(text, name):
    assert parse(text) == name


def test_an_exact_colour_and_what_is_none():
    assert parse("#ff8000") == Color(255, 128, 0, 1.0) == parse("FF8000")
    assert parse("colourful") is None and parse("") is None and parse("#ff80") is None


@pytest.mark.parametrize(
    "rgb, name",
    [
        ((200, 30, 30), "red"), ((250, 250, 250), "white"), ((15, 15, 15), "black"), ((128, 128, 130), "gray"),
        ((40, 90, 200), "blue"), ((60, 140, 60), "green"), ((245, 220, 60), "yellow"), ((110, 70, 35), "brown"),
        ((240, 130, 30), "orange"), ((250, 170, 200), "pink"), ((110, 40, 140), "purple"), ((225, 205, 165), "beige"),
        ((60, 180, 175), "turquoise"),
    ],
)  # fmt: skip
def test_every_name_has_its_colour(rgb, name):
    assert name_of(Color(*rgb, 1.0)) == name and name in NAMES


@pytest.mark.parametrize(
    "product, name, least",
    [
        ("SS-1001", "red", 0.3), ("SS-1002", "green", 0.1), ("SS-1004", "blue", 0.04), ("SS-1005", "red", 0.04),
        ("SS-1006", "blue", 0.03), ("SS-1007", "purple", 0.03), ("SS-1008", "black", 0.1), ("SS-1012", "brown", 0.2),
    ],
)  # fmt: skip
def test_products_have_the_colours_they_are_seen_in(product, name, least):
    colors = dominant(pixels_of(PRODUCTS / f"{product}_a.jpg"))
    assert share(colors, name) >= least
    assert 0.9 <= sum(color.share for color in colors) <= 1.0 + 1e-6
    assert [color.share for color in colors] == sorted((color.share for color in colors), reverse=True)
    absent = {"red", "green"} - {name}
    assert all(share(colors, other) < 0.03 for other in absent), "nothing is seen that is not there"


def test_shares_are_those_of_the_pixels():
    pixels = np.array([[220, 20, 20]] * 70 + [[20, 20, 220]] * 30, np.uint8)
    (red, blue) = dominant(pixels)
    assert (red.red, red.green, red.blue, red.share) == (220, 20, 20, pytest.approx(0.7))
    assert blue.share == pytest.approx(0.3)
    assert share((red, blue), parse("#dc1414")) == pytest.approx(0.7)
    assert 0.4 < share((red, blue), parse("#e02828")) < 0.7, "the further, the less"
    assert share((), "red") == 0.0 and dominant(np.empty((0, 3), np.uint8)) == ()

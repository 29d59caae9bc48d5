"""Rooms to ask by a box in: renders of products set before a wall. Writes pictures and lines of queries.

    python -m benchmarks.build_rooms

The renders are views that the samples do not hold (benchmarks/queries/images/product_*.jpg); the rooms are drawn, not
photographed: they tell whether a box is looked at by itself, not how well photographs of rooms are understood.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

IMAGES = Path(__file__).resolve().parent / "queries" / "images"
SIZE = (960, 640)
FLOOR_Y = 420
# product, left, bottom, height in pixels
ROOMS = {
    "room_1": ((1008, 60, 560, 330), (1001, 420, 600, 260), (1006, 760, 470, 230)),
    "room_2": ((1005, 80, 470, 200), (1001, 270, 590, 280), (1012, 600, 600, 220), (1006, 800, 460, 190)),
    "room_3": ((1012, 60, 590, 250), (1008, 330, 570, 340), (1005, 740, 480, 210)),
}
WALLS = {"room_1": (196, 184, 160), "room_2": (150, 175, 190), "room_3": (205, 170, 160)}


def main() -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for name, things in ROOMS.items():
        room = empty(WALLS[name])
        for product, left, bottom, height in things:
            box = put(room, IMAGES / f"product_{product}.jpg", left, bottom, height)
            for view in "abc":
                told = ("", f"images/{name}.jpg", f"products/SS-{product}_{view}.jpg", "", "", "en", "box", box)
                writer.writerow(told)
        room.save(IMAGES / f"{name}.jpg", quality=88)


def empty(wall: tuple[int, int, int]) -> Image.Image:
    room = Image.new("RGB", SIZE, wall)
    draw = ImageDraw.Draw(room)
    draw.rectangle((0, FLOOR_Y, *SIZE), (128, 94, 66))
    for x in range(0, SIZE[0], 80):
        draw.line((x, FLOOR_Y, x * 1.5 - SIZE[0] / 4, SIZE[1]), (104, 76, 54), 2)
    draw.rectangle((0, FLOOR_Y - 12, SIZE[0], FLOOR_Y), (235, 230, 220))
    draw.rectangle((380, 40, 600, 230), (245, 245, 240))
    draw.rectangle((392, 52, 588, 218), (150, 195, 235))
    draw.line((490, 52, 490, 218), (245, 245, 240), 8)
    return room


def put(room: Image.Image, product: Path, left: int, bottom: int, height: int) -> str:
    """Set a product in, from a picture of it on a plain ground. Returns its box in the room."""
    render = Image.open(product).convert("RGB")
    values = np.asarray(render).astype(int)
    there = np.abs(values - values[:4, :4].mean(axis=(0, 1))).max(axis=2) > 14
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    area = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    thing, mask = render.crop(area), Image.fromarray((there * 255).astype(np.uint8)).crop(area)
    width = round(height * thing.width / thing.height)
    thing, mask = thing.resize((width, height)), mask.resize((width, height))
    room.paste(thing, (left, bottom - height), mask)
    return f"{left},{bottom - height},{width},{height}"


if __name__ == "__main__":
    main()

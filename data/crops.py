"""The parts of a still that are looked at by themselves: a chair in a room fills a corner of the picture."""

from __future__ import annotations

from data.types import Box

STAGE = "crops"  # among a medium's stages
HOW = "2x2"


def crops(width: int, height: int) -> tuple[Box, ...]:
    """Two by two boxes, neighbours sharing a quarter of their sides; part k of a still is the k-th, from 1 on.

    Over 18 drawn rooms asked by 20 product pictures (mAP; the whole picture alone .68): these .86, three by three .87,
    both .90 at thirteen times the work.
    """
    part_width, part_height = max(1, round(width * 4 / 7)), max(1, round(height * 4 / 7))
    return tuple(Box(x, y, part_width, part_height) for y in (0, height - part_height) for x in (0, width - part_width))

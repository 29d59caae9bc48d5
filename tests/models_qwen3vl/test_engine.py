"""The packed engine gives what transformers gives, prompt by prompt, on the real architecture with random weights."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the Qwen3-VL engine needs torch")
pytest.importorskip("transformers", reason="the Qwen3-VL engine needs transformers")

from models.qwen3vl.engine import PackedEngine  # noqa: E402
from models.qwen3vl.plain import PlainEngine  # noqa: E402
from models.qwen3vl.prompting import Footage, Picture, Turn, prompt  # noqa: E402
from models.qwen3vl.sampling import Sampling  # noqa: E402


@pytest.fixture
def prompts(tokens, pictures):
    clip = Footage(pictures(5, 96, 128, 1), (3.0, 3.4, 3.5, 4.9, 5.0), tokens_per_pair=16)
    other = Footage(pictures(4, 64, 96, 2), (0.0, 0.5, 1.0, 1.5), tokens_per_pair=8)
    still = Picture(pictures(1, 200, 150, 3)[0])
    return [
        prompt(Turn("Be brief.", (clip, "What happens?")), tokens),
        prompt(Turn("", ("A sofa, 绿色",)), tokens),
        prompt(Turn("Represent the user's input.", (still, "red", other)), tokens),
    ]


@pytest.fixture(scope="session")
def engine(tiny_model):
    return PackedEngine(tiny_model)


@pytest.fixture(scope="session")
def plain(tiny_model, engine):
    return PlainEngine(tiny_model)


def test_last_token_equals_transformers(engine, plain, prompts):
    ours = engine.last_hidden(prompts)
    for i, one in enumerate(prompts):
        theirs = plain.last_hidden([one])[0]
        assert np.linalg.norm(ours[i] - theirs) < 1e-4 * np.linalg.norm(theirs)
    assert np.linalg.norm(ours[0] - ours[1]) > 0.1 * np.linalg.norm(ours[0])


def test_batched_equals_single(engine, prompts):
    together = engine.last_hidden(prompts)
    alone = np.concatenate([engine.last_hidden([one]) for one in prompts])
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_plain_batches_do_not_mix(plain, prompts):
    together = plain.last_hidden(prompts)
    alone = np.concatenate([plain.last_hidden([one]) for one in prompts])
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_logits_are_those_of_the_head(engine, plain, prompts):
    np.testing.assert_allclose(
        engine.last_logits(prompts, [9693, 2152]), plain.last_logits(prompts, [9693, 2152]), atol=1e-3
    )


def test_greedy_text_equals_transformers(engine, plain, prompts):
    sampling = Sampling(max_new_tokens=20)
    assert engine.generate(prompts, sampling, set()) == plain.generate(prompts, sampling, set())


def test_more_prompts_than_slots(engine, plain, prompts, monkeypatch):
    monkeypatch.setattr("models.qwen3vl.engine.MAX_SLOTS", 2)
    fresh = PackedEngine.__new__(PackedEngine)
    fresh.__dict__.update(engine.__dict__, _stepper=None)
    many = [prompts[i % 3] for i in range(7)]
    sampling = Sampling(max_new_tokens=11)
    alone = [plain.generate([one], sampling, set())[0] for one in prompts]
    assert fresh.generate(many, sampling, set()) == [alone[i % 3] for i in range(7)]


def test_ends_and_stops(engine, prompts):
    free = engine.generate(prompts[:1], Sampling(max_new_tokens=20), set())[0]
    cut = engine.generate(prompts[:1], Sampling(max_new_tokens=20), {free[4]})[0]
    assert cut == free[: free.index(free[4])]
    stopped = engine.generate(prompts[:1], Sampling(max_new_tokens=20), set(), lambda ids: len(ids) >= 3)[0]
    assert 3 <= len(stopped) < 20


def test_sampling_is_repeatable_and_differs_by_seed(engine, prompts):
    def draw(seed: int):
        return engine.generate(prompts, Sampling(max_new_tokens=12, temperature=5.0, seed=seed), set())

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_kept_vision_features_change_nothing(tiny_model, engine, prompts):
    from dataclasses import replace

    keyed = [replace(one, keys=tuple(f"{i}/{j}" for j in range(len(one.blocks)))) for i, one in enumerate(prompts)]
    caching = PackedEngine(tiny_model, feature_cache_bytes=10_000_000)
    first, calls = caching.last_hidden(keyed), []
    tower = caching.vision
    caching.vision = lambda blocks: calls.append(len(blocks)) or tower(blocks)
    np.testing.assert_allclose(caching.last_hidden(keyed), first, atol=1e-5)
    assert calls == []

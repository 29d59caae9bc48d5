"""The packed engine: prompts in; last-token vectors, logits of a few tokens, or generated text out.

Generation keeps a fixed number of slots decoding together (continuous batching, Yu et al. 2022): a finished one is
refilled from the queue by a packed prefill, and each step is a CUDA graph replay, so that the launch of some 400
kernels a step costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.qwen3vl import ops
from models.qwen3vl.decoder import Cache, Decoder
from models.qwen3vl.feature_cache import FeatureCache
from models.qwen3vl.prompting import Prompt
from models.qwen3vl.sampling import Sampling, Stop
from models.qwen3vl.vision import VisionTower

MAX_TOKENS = 40_960  # tokens in one packed forward: fills the largest chip
MIN_TOKENS = 2_048
ACTIVATION_SHARE = 0.3  # of the free memory that one forward may take
LOOK_EVERY = 8  # decoding steps between two looks at what was written: each look waits for the device
CACHE_SHARE = 0.5  # of the free memory that keys and values may take
MAX_SLOTS = 256


class PackedEngine:
    """All methods take prompts of any lengths and batch inside; one call runs at a time, others wait.

    Args:
        model: a loaded Qwen3VLForConditionalGeneration, unquantised, on one device.
        feature_cache_bytes: device memory for vision features kept between calls (0: none).
    """

    def __init__(self, model: Any, feature_cache_bytes: int = 0) -> None:
        model.eval()
        model.requires_grad_(False)
        self.device = model.model.language_model.embed_tokens.weight.device
        fused = ops.Fused(self.device)
        self.vision = VisionTower(model.model.visual, fused)
        self.decoder = Decoder(model.model.language_model, model.lm_head, fused)
        self._features = FeatureCache(feature_cache_bytes)
        text, seen = model.config.text_config, model.config.vision_config
        # What is alive at once, in numbers a token: a layer of the text, or of the four patches that become it.
        alive = (8 * one.hidden_size + 3 * one.intermediate_size for one in (text, seen))
        self._activation_bytes = 2 * max(share * numbers for share, numbers in zip((1, 4), alive, strict=True))
        self._lock = threading.Lock()
        self._stepper: _Stepper | None = None

    @torch.inference_mode()
    def last_hidden(self, prompts: Sequence[Prompt]) -> npt.NDArray[np.float32]:
        """(n prompts) -> (n, width) float32: the last token behind the final norm, not normalised to length one."""
        with self._lock:
            parts = [self._forward(batch) for batch in packs(prompts, self._most_tokens())]
            return torch.cat(parts).float().cpu().numpy()

    @torch.inference_mode()
    def last_logits(self, prompts: Sequence[Prompt], token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """(n prompts) -> (n, len(token_ids)) float32 logits of those tokens as the next one."""
        with self._lock:
            rows = self.decoder.head[torch.tensor(list(token_ids), device=self.device)]
            parts = [self._forward(batch) @ rows.t() for batch in packs(prompts, self._most_tokens())]
            return torch.cat(parts).float().cpu().numpy()

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, ends: set[int], stop: Stop | None = None
    ) -> list[list[int]]:
        """The tokens that follow each prompt, without the end token, at most sampling.max_new_tokens each."""
        with self._lock:
            return self._generate(list(prompts), sampling, ends, stop)

    def _forward(self, prompts: Sequence[Prompt], cache: Cache | None = None, rows: Tensor | None = None) -> Tensor:
        lengths = [len(prompt) for prompt in prompts]
        ids = _to_device(np.concatenate([prompt.ids for prompt in prompts]), self.device)
        positions = _to_device(np.concatenate([prompt.positions for prompt in prompts], axis=1), self.device)
        hidden = self.decoder.embedding[ids]
        features = self._vision_features(prompts)
        visual_rows, levels = None, None
        if features is not None:
            visual_rows = _to_device(np.flatnonzero(np.concatenate([prompt.visual for prompt in prompts])), self.device)
            hidden.index_copy_(0, visual_rows, features[:, 0].to(hidden.dtype))
            levels = features[:, 1:]
        return self.decoder.prefill(
            hidden, positions, ops.Spans(lengths, self.device), visual_rows, levels, cache, rows
        )

    def _vision_features(self, prompts: Sequence[Prompt]) -> Tensor | None:
        blocks = [block for prompt in prompts for block in prompt.blocks]
        if not blocks:
            return None
        # A block without a key is its own; those of equal keys are seen once.
        keys = [(p.keys[i] if p.keys else "") or f"#{id(block)}" for p in prompts for i, block in enumerate(p.blocks)]
        found = {key: self._features.get(key) for key in keys}
        missing = {key: block for key, block in zip(keys, blocks, strict=True) if found[key] is None}
        if missing:
            for key, feature in zip(missing, self.vision(list(missing.values())), strict=True):
                found[key] = feature
                if not key.startswith("#"):
                    self._features.put(key, feature)
        return torch.cat([feature for key in keys if (feature := found[key]) is not None])

    def _generate(
        self, prompts: list[Prompt], sampling: Sampling, ends: set[int], stop: Stop | None
    ) -> list[list[int]]:
        if not prompts:
            return []
        capacity = max(len(prompt) for prompt in prompts) + sampling.max_new_tokens + LOOK_EVERY
        stepper = self._ready(min(len(prompts), MAX_SLOTS), -(-capacity // 64) * 64)
        stepper.begin(sampling)
        answers: list[list[int]] = [[] for _ in prompts]
        queue = list(range(len(prompts)))[::-1]
        slots: list[int | None] = [None] * stepper.slots
        while queue or any(slot is not None for slot in slots):
            free = [i for i, slot in enumerate(slots) if slot is None]
            # Refill when a good part is free: one large prefill beats many small ones.
            if queue and (len(free) * 4 >= len(slots) or len(queue) <= len(free)):
                taken = [(slot, queue.pop()) for slot in free[: len(queue)]]
                for slot, place in taken:
                    slots[slot] = place
                for batch in _by_tokens(taken, lambda pair: len(prompts[pair[1]]), self._most_tokens()):
                    chosen = [prompts[place] for _, place in batch]
                    rows = stepper.rows([slot for slot, _ in batch], [len(prompt) for prompt in chosen])
                    stepper.admit([slot for slot, _ in batch], chosen, self._forward(chosen, stepper.cache, rows))
            written = stepper.advance(LOOK_EVERY)
            for slot, index in enumerate(slots):
                if index is None:
                    continue
                answer = answers[index]
                if _extend(answer, written[slot], ends, sampling.max_new_tokens) or (stop is not None and stop(answer)):
                    slots[slot] = None
            stepper.retire([i for i, slot in enumerate(slots) if slot is None])
        return answers

    def _ready(self, slots: int, capacity: int) -> _Stepper:
        """The stepper of an earlier call where it is large enough: its graph and its cache are kept."""
        limit = self._most_slots(capacity)
        slots = max(1, min(slots, limit))
        old = self._stepper
        if old is None or old.slots < slots or old.cache.capacity < capacity:
            self._stepper = None
            del old
            self._stepper = _Stepper(self.decoder, slots, capacity)
        return self._stepper  # type: ignore[return-value]

    def _most_slots(self, capacity: int) -> int:
        if self.device.type != "cuda":
            return 8
        return int(self._free_bytes() * CACHE_SHARE / (capacity * self.decoder.cache_bytes_per_token()))

    def _most_tokens(self) -> int:
        """Tokens in one forward: fewer where other models share the chip."""
        if self.device.type != "cuda":
            return MIN_TOKENS
        fitting = int(self._free_bytes() * ACTIVATION_SHARE / self._activation_bytes)
        return max(MIN_TOKENS, min(MAX_TOKENS, fitting))

    def _free_bytes(self) -> int:
        free, _ = torch.cuda.mem_get_info(self.device)
        return free + torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)


class _Stepper:
    """Slots that decode together: their cache, their state on the device, and the graph of one step."""

    def __init__(self, decoder: Decoder, slots: int, capacity: int) -> None:
        self._decoder, self.slots = decoder, slots
        self.cache = decoder.new_cache(slots, capacity)
        device = decoder.device
        self._tokens = torch.zeros(slots, dtype=torch.long, device=device)
        self._positions = torch.zeros(slots, dtype=torch.int32, device=device)
        self._lengths = torch.zeros(slots, dtype=torch.int32, device=device)
        self._active = torch.zeros(slots, dtype=torch.int32, device=device)
        self._generator = torch.Generator(device)
        self._sampling = Sampling()
        self._graphs: dict[tuple[float, int], torch.cuda.CUDAGraph] = {}
        self._fresh: dict[int, int] = {}

    def begin(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._generator.manual_seed(sampling.seed)
        self.retire(list(range(self.slots)))

    def rows(self, slots: list[int], lengths: list[int]) -> Tensor:
        places = [slot * self.cache.capacity + np.arange(length) for slot, length in zip(slots, lengths, strict=True)]
        return _to_device(np.concatenate(places), self._decoder.device)

    def admit(self, slots: list[int], prompts: list[Prompt], last: Tensor) -> None:
        """Puts prompts whose keys and values are in the cache into slots; last: (n, width) their last tokens."""
        device = self._decoder.device
        at = _to_device(np.array(slots), device)
        self._tokens[at] = self._choose(self._decoder.logits(last))
        self._positions[at] = _to_device(np.array([prompt.next_position for prompt in prompts], np.int32), device)
        self._lengths[at] = _to_device(np.array([len(prompt) for prompt in prompts], np.int32), device)
        self._active[at] = 1
        self._fresh.update({slot: 1 for slot in slots})

    def retire(self, slots: list[int]) -> None:
        """Idle slots go on stepping, over nothing: a graph has a fixed size."""
        if slots:
            at = _to_device(np.array(slots), self._decoder.device)
            self._active[at] = 0
            self._lengths[at] = 0

    def advance(self, steps: int) -> list[list[int]]:
        """Decodes `steps` tokens in every slot; returns each slot's tokens since the last call."""
        first = self._tokens.clone()
        kept = [self._tokens_after_step() for _ in range(steps)]
        table = torch.stack([first, *kept], dim=1).cpu().tolist()
        written = [row if slot in self._fresh else row[1:] for slot, row in enumerate(table)]
        self._fresh.clear()
        return written

    def _tokens_after_step(self) -> Tensor:
        if self._decoder.device.type != "cuda":
            self._step()
        else:
            self._graph().replay()
        return self._tokens.clone()

    def _step(self) -> None:
        logits = self._decoder.step(self._tokens, self._positions, self._lengths, self.cache)
        self._tokens.copy_(self._choose(logits))
        self._lengths += self._active
        self._positions += self._active

    def _graph(self) -> torch.cuda.CUDAGraph:
        key = (self._sampling.temperature, self._sampling.top_k)  # both are constants of the graph
        if key not in self._graphs:
            saved = [x.clone() for x in (self._tokens, self._positions, self._lengths)]
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):  # compiles and picks kernels outside of the capture
                for _ in range(2):
                    self._step()
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            graph.register_generator_state(self._generator)
            with torch.cuda.graph(graph):
                self._step()
            for live, old in zip((self._tokens, self._positions, self._lengths), saved, strict=True):
                live.copy_(old)
            self._graphs[key] = graph
        return self._graphs[key]

    def _choose(self, logits: Tensor) -> Tensor:
        sampling = self._sampling
        if sampling.temperature <= 0:
            return logits.argmax(-1)
        values, ids = logits.float().topk(sampling.top_k, dim=-1)
        # Drawing by exponential races needs no host round trip, so it can stand in a graph.
        weights = torch.softmax(values / sampling.temperature, dim=-1)
        races = torch.empty_like(weights).exponential_(generator=self._generator)
        return ids.gather(-1, (weights / races).argmax(-1, keepdim=True)).squeeze(-1)


def packs(prompts: Sequence[Prompt], most_tokens: int = MAX_TOKENS) -> Iterator[list[Prompt]]:
    """Prompts in order, as many at once as most_tokens allows and always at least one."""
    yield from _by_tokens(list(prompts), len, most_tokens)


def _by_tokens(items: list[Any], size: Callable[[Any], int], most_tokens: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    total = 0
    for item in items:
        if batch and total + size(item) > most_tokens:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size(item)
    if batch:
        yield batch


def _extend(answer: list[int], tokens: list[int], ends: set[int], limit: int) -> bool:
    """Adds tokens up to an end token or the limit; True when the answer is finished."""
    for token in tokens:
        if token in ends:
            return True
        answer.append(token)
        if len(answer) >= limit:
            return True
    return False


def _to_device(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor

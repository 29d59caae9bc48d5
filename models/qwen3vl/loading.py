"""A checkpoint -> an engine on the device there is: once, at its first use, whoever asks first.

| weights | where | engine |
|-|-|-|
| bf16, or FP8 read as bf16 | one NVIDIA chip since Ampere, or the CPU in float32 | packed |
| 4 bits (bitsandbytes) | one chip, or the CPU | plain |
| mixtures of experts; more than one chip holds | chips, layers spread over them | plain |
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from data.errors import MissingExtra, ModelError, WeightsUnavailable
from data.settings import Settings
from models.chip import memory_is_short
from models.qwen3vl.checkpoint import CLASSES, Checkpoint
from models.qwen3vl.sampling import Engine

GIB = 1 << 30
ROOM_BYTES = 2 * GIB  # what a chip must have beside the weights: activations of a few thousand tokens, keys and values
FEATURES_BYTES = GIB  # vision features kept between questions
# Numbers in the published models, for saying what would fit.
PUBLISHED = {"32B": 33.4e9, "8B": 8.8e9, "4B": 4.4e9, "2B": 2.1e9}


@dataclass(frozen=True, slots=True)
class Plan:
    """device_map: as transformers takes it; spread: over several chips; max_memory: bytes a chip may be given."""

    device_map: Any
    on_gpu: bool
    in_4bit: bool
    packed: bool
    max_memory: dict[int, int] | None = None


class Weights:
    """A checkpoint and, from its first use on, the engine that runs it.

    Args:
        keeps_features: vision features of keyed prompts are kept on the device.
    """

    def __init__(self, checkpoint: Checkpoint, settings: Settings, *, keeps_features: bool = False) -> None:
        self.checkpoint, self._settings, self._keeps_features = checkpoint, settings, keeps_features
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    @property
    def revision(self) -> str:
        """Changes whenever the same input may give another output."""
        return self.checkpoint.revision + ("-4bit" if self._settings.qwen_4bit else "")

    @property
    def label(self) -> str:
        return f"{self.checkpoint.name}@{self.revision}"

    @contextmanager
    def running(self) -> Iterator[Engine]:
        """The engine, loaded if need be.

        Raises:
            WeightsUnavailable, MissingExtra: it cannot be loaded. ModelError: memory is short, now or while it ran.
        """
        with self._lock:
            if self._engine is None:
                self._engine = self._load()
        with memory_is_short(
            f"{self.checkpoint.name} ran out of memory on its chip.",
            "Ask for less at once (SECONDSIGHT_BATCH_SIZE), or load in 4 bits (SECONDSIGHT_QWEN_4BIT=1).",
        ):
            yield self._engine

    def _load(self) -> Engine:
        checkpoint, settings = self.checkpoint, self._settings
        class_name = CLASSES[checkpoint.config["model_type"]]
        check_installed(settings.qwen_4bit)
        import torch
        import transformers
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        if settings.threads:
            torch.set_num_threads(settings.threads)
        plan = planned(checkpoint, settings)
        dtype = torch.bfloat16 if plan.on_gpu else torch.float32
        options: dict[str, Any] = {
            "dtype": dtype,
            "device_map": plan.device_map,
            "attn_implementation": _attention(plan),
            "local_files_only": True,
            "use_safetensors": True,
            "output_loading_info": True,
        }
        if plan.max_memory:
            options["max_memory"] = plan.max_memory
        if checkpoint.is_fp8:
            options["quantization_config"] = transformers.FineGrainedFP8Config(dequantize=True)
        elif plan.in_4bit:
            options["quantization_config"] = transformers.BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=dtype,
                llm_int8_skip_modules=["model.visual", "lm_head"],
            )
        try:
            model, told = getattr(transformers, class_name).from_pretrained(checkpoint.folder, **options)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            raise _short(checkpoint, settings, needed_bytes(checkpoint, plan), _free_bytes(settings)) from None
        except Exception as error:  # files may be wrong in any way; safetensors, json, torch and transformers all raise
            why = (str(error).strip().splitlines() or [""])[0][:200]
            raise WeightsUnavailable(
                f"The weights in {str(checkpoint.folder)!r} cannot be loaded ({type(error).__name__}: {why}).",
                remedy="Fetch them again, or name another model.",
            ) from error
        missing = [name for name in told["missing_keys"] if not name.startswith("lm_head")]
        if missing:
            raise WeightsUnavailable(
                f"The weights in {str(checkpoint.folder)!r} lack {missing[0]!r} ({len(missing)} in all).",
                remedy="Fetch them again.",
            )
        if any(place in ("cpu", "disk") for place in getattr(model, "hf_device_map", {}).values()) and plan.on_gpu:
            raise _short(checkpoint, settings, needed_bytes(checkpoint, plan), _free_bytes(settings))
        if plan.packed:
            from models.qwen3vl.engine import PackedEngine

            return PackedEngine(model.to(dtype), feature_cache_bytes=FEATURES_BYTES if self._keeps_features else 0)
        from models.qwen3vl.plain import PlainEngine

        return PlainEngine(model)


def planned(checkpoint: Checkpoint, settings: Settings) -> Plan:
    """Where it goes: one chip if one holds it, else all of them, else it is said what would fit.

    Raises:
        ModelError: memory is short, or that device is not there.
    """
    import torch

    in_4bit, wanted = settings.qwen_4bit, settings.qwen_device
    if in_4bit and checkpoint.is_fp8:
        raise ModelError(
            f"{checkpoint.name} is an FP8 checkpoint, which cannot be made smaller again.",
            remedy="Take the one without -FP8 for 4 bits.",
        )
    chips = list(range(torch.cuda.device_count())) if wanted != "cpu" else []
    if wanted.startswith("cuda"):
        index = int(wanted.partition(":")[2] or 0)
        if index not in chips:
            raise ModelError(
                f"There is no device {wanted!r}: this machine has {len(chips)}.",
                remedy="Set SECONDSIGHT_QWEN_DEVICE to auto or cpu.",
            )
        chips = [index]
    if not chips:
        plan = Plan({"": "cpu"}, on_gpu=False, in_4bit=in_4bit, packed=not in_4bit and not checkpoint.is_mixture)
        needed, free = needed_bytes(checkpoint, plan), _free_bytes(settings)
        if needed > sum(free):
            raise _short(checkpoint, settings, needed, free)
        return plan
    free = [torch.cuda.mem_get_info(chip)[0] for chip in chips]
    best = max(range(len(chips)), key=lambda i: free[i])
    modern = torch.cuda.get_device_capability(chips[best]) >= (8, 0)
    one = Plan({"": chips[best]}, True, in_4bit, packed=not in_4bit and not checkpoint.is_mixture and modern)
    needed = needed_bytes(checkpoint, one)
    if needed <= free[best]:
        return one
    if needed + ROOM_BYTES * (len(chips) - 1) <= sum(free):
        shares = {chip: max(0, there - ROOM_BYTES) for chip, there in zip(chips, free, strict=True)}
        return Plan("auto", True, in_4bit, packed=False, max_memory=shares)
    raise _short(checkpoint, settings, needed, free)


def needed_bytes(checkpoint: Checkpoint, plan: Plan) -> int:
    numbers = checkpoint.numbers
    if plan.in_4bit:
        return numbers.bytes_in_4_bits() + ROOM_BYTES
    return numbers.total * (2 if plan.on_gpu else 4) + (ROOM_BYTES if plan.on_gpu else numbers.total // 4)


def check_installed(in_4bit: bool = False) -> None:
    """Raises: MissingExtra: torch, transformers, or what 4 bits need are not installed."""
    for module in ("torch", "transformers", "accelerate"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra("The profile qwen3-vl", "qwen")
    if in_4bit and importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtra("Loading in 4 bits", "qwen-4bit")


def _attention(plan: Plan) -> str:
    # The packed engine has attention of its own; transformers' own runs only in the plain one.
    has_flash = plan.on_gpu and not plan.packed and importlib.util.find_spec("flash_attn") is not None
    return "flash_attention_2" if has_flash else "sdpa"


def _free_bytes(settings: Settings) -> list[int]:
    import torch

    if settings.qwen_device == "cpu" or not torch.cuda.is_available():
        import psutil

        return [int(psutil.virtual_memory().available)]
    return [torch.cuda.mem_get_info(chip)[0] for chip in range(torch.cuda.device_count())]


def _short(checkpoint: Checkpoint, settings: Settings, needed: int, free: list[int]) -> ModelError:
    """What is short, and what would fit in its place."""
    on_gpu = settings.qwen_device != "cpu" and bool(_chips())
    there, most = " + ".join(_gib(size) for size in free), max(free, default=0)
    ways = []
    if on_gpu and not settings.qwen_4bit and checkpoint.numbers.bytes_in_4_bits() + ROOM_BYTES <= most:
        size = _gib(checkpoint.numbers.bytes_in_4_bits() + ROOM_BYTES)
        ways.append(f"this one in 4 bits (SECONDSIGHT_QWEN_4BIT=1, {size})")
    for name, numbers in PUBLISHED.items():
        size_bytes = int(numbers * (2 if on_gpu else 4)) + ROOM_BYTES
        if numbers < checkpoint.numbers.total * 0.9 and size_bytes <= most:
            ways.append(f"a {name} model ({_gib(size_bytes)})")
            break
    remedy = f"What fits: {', or '.join(ways)}." if ways else "Use a model server instead: --models server:URL."
    return ModelError(
        f"{checkpoint.name} needs {_gib(needed)} of {'GPU ' if on_gpu else ''}memory and {there} are free.",
        remedy=remedy,
    )


def _chips() -> int:
    import torch

    return torch.cuda.device_count()


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"

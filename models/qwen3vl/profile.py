"""How the Qwen3-VL profile registers itself, and which checkpoints "qwen3-vl:VARIANT" names."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path

from data.errors import UsageError
from data.settings import Settings
from models.base import ModelSet
from models.registry import Profile

_SIZE = re.compile(r"(2B|4B|8B|32B|30B-A3B|235B-A22B)(-Instruct|-Thinking)?(-FP8)?", re.I)
_CASES = {"INSTRUCT": "Instruct", "THINKING": "Thinking"}
PICTURE_SIDE = 512


@dataclass(frozen=True, slots=True)
class Sources:
    """Folders or ids of checkpoints. chat: describes and answers; embed: makes vectors; rerank: judges; "" for none."""

    chat: str = ""
    embed: str = ""
    rerank: str = ""


def sources(variant: str) -> Sources:
    """The checkpoints that a variant names.

    Args:
        variant: "" (4B); a size, also with its form ("8B", "30B-A3B-FP8", "4B-Thinking"); an id ("Qwen/..."); the
            folder of one checkpoint, which does what its name says and everything when that says nothing; or a folder
            of such folders.

    Raises:
        UsageError: it names nothing.
    """
    if match := _SIZE.fullmatch(variant or "4B"):
        size = match[1].upper()
        form = _CASES[(match[2] or "-Instruct")[1:].upper()]
        of = "2B" if size in ("2B", "4B") else "8B"
        return Sources(
            f"Qwen/Qwen3-VL-{size}-{form}{(match[3] or '').upper()}",
            f"Qwen/Qwen3-VL-Embedding-{of}",
            f"Qwen/Qwen3-VL-Reranker-{of}",
        )
    folder = Path(variant).expanduser()
    if folder.is_dir() and not (folder / "config.json").is_file():
        return _several(folder)
    if folder.is_dir() or re.fullmatch(r"[\w.-]+/[\w.-]+", variant):
        return _one(variant)
    raise UsageError(
        f"There is no Qwen3-VL model {variant!r}.",
        remedy="Name a size (qwen3-vl:2B, 4B, 8B, 32B, 30B-A3B, 235B-A22B), an id (qwen3-vl:Qwen/...) or a folder.",
    )


def load(settings: Settings, variant: str) -> ModelSet:
    """Nothing heavy happens before a part is used; a checkpoint that does two things is loaded once."""
    from models.lite.profile import load as load_lite
    from models.qwen3vl.chat import ChatAnswerer, ChatCaptioner, ChatGrounder
    from models.qwen3vl.checkpoint import Checkpoint
    from models.qwen3vl.embedder import QwenEmbedder
    from models.qwen3vl.loading import Weights, check_installed
    from models.qwen3vl.local import LocalChat, LocalJudge, LocalWriter
    from models.qwen3vl.reranker import JudgeReranker

    check_installed(settings.qwen_4bit)
    named = sources(variant)
    given = Sources(settings.qwen_chat, settings.qwen_embed, settings.qwen_rerank)
    named = Sources(**{f.name: getattr(given, f.name) or getattr(named, f.name) for f in fields(Sources)})
    known: dict[str, Weights] = {}

    def weights(source: str) -> Weights:
        if source not in known:
            known[source] = Weights(Checkpoint(source), settings, keeps_features=source == named.rerank)
        return known[source]

    # Speech and on-screen text are read by lite's parts, and vectors made by it where no checkpoint is named for them.
    models = replace(load_lite(settings, ""), profile=f"qwen3-vl:{variant}" if variant else "qwen3-vl")
    if named.embed:
        joint = QwenEmbedder(weights(named.embed), settings.qwen_dim)
        models = replace(models, joint=joint, picture_side=PICTURE_SIDE, tagger=None)
    if named.chat:
        chat = LocalChat(weights(named.chat))
        models = replace(
            models,
            captioner=ChatCaptioner(chat),
            grounder=ChatGrounder(chat),
            answerer=ChatAnswerer(chat),
            writer=LocalWriter(chat),
        )
    if named.rerank:
        models = replace(models, reranker=JudgeReranker(LocalJudge(weights(named.rerank))))
    return models


def _one(source: str) -> Sources:
    name = Path(source).expanduser().resolve().name.lower() if Path(source).expanduser().is_dir() else source.lower()
    if "embedding" in name:
        return Sources(embed=source)
    if "reranker" in name:
        return Sources(rerank=source)
    if "instruct" in name or "thinking" in name:
        return Sources(chat=source, rerank=source)  # its yes or no stands in for a re-ranker
    return Sources(source, source, source)


def _several(folder: Path) -> Sources:
    found = Sources()
    for child in sorted(path.parent for path in folder.glob("*/config.json")):
        one = _one(str(child))
        own = one.rerank if one.rerank != one.chat else ""
        found = Sources(found.chat or one.chat, found.embed or one.embed, found.rerank or own)
    if found == Sources():
        raise UsageError(
            f"The folder {str(folder)!r} holds no checkpoint.",
            remedy="Name the folder that holds config.json, or one above several such.",
        )
    return replace(found, rerank=found.rerank or found.chat)


PROFILE = Profile(
    name="qwen3-vl",
    description="a GPU: Qwen3-VL describes, answers, finds, re-ranks; qwen3-vl:8B, qwen3-vl:FOLDER",
    load=load,
    extra="qwen",
    licences=("Apache-2.0 (Alibaba, Qwen3-VL)",),
    requires=("torch", "transformers", "accelerate"),
)

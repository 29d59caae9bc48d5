"""How the profile for CLIP-like checkpoints registers itself, and which one "siglip2:VARIANT" names."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from data.errors import UsageError
from data.settings import Settings
from models.base import ModelSet
from models.registry import Profile

DEFAULT = "google/siglip2-base-patch16-256"
LEAST_SIDE = 256


def source(variant: str) -> str:
    """The folder or the id of the hub that a variant names; "" is DEFAULT.

    Raises:
        UsageError: it names nothing.
    """
    folder = Path(variant or DEFAULT).expanduser()
    if folder.is_dir():
        return str(folder.resolve())
    if re.fullmatch(r"\w[\w.-]*/[\w.-]+", variant or DEFAULT):
        return variant or DEFAULT
    raise UsageError(
        f"There is no checkpoint {variant!r}.", remedy=f"Name an id (siglip2:{DEFAULT}) or a folder that is there."
    )


def load(settings: Settings, variant: str) -> ModelSet:
    """Files are looked at here, for the size of the pictures; the weights are loaded at their first use."""
    from models.lite.profile import load as load_lite
    from models.siglip2.checkpoint import Checkpoint
    from models.siglip2.embedder import TwoTowerEmbedder, check_installed
    from models.tags import VocabularyTagger

    check_installed()
    checkpoint = Checkpoint(source(variant))
    joint = TwoTowerEmbedder(checkpoint, settings)
    return replace(
        load_lite(settings, ""),  # speech and on-screen text are read by lite's parts
        profile=f"siglip2:{checkpoint.source}" if variant else "siglip2",
        joint=joint,
        picture_side=max(LEAST_SIDE, checkpoint.picture_side),
        # Names are asked in English and in Chinese, and both count the same.
        tagger=VocabularyTagger(joint, settings) if checkpoint.is_multilingual else None,
    )


PROFILE = Profile(
    name="siglip2",
    description="a CPU or a GPU: vectors by SigLIP 2, SigLIP or CLIP; siglip2:OWNER/NAME, siglip2:FOLDER",
    load=load,
    extra="siglip2",
    licences=("Apache-2.0 (Google, SigLIP 2); another checkpoint has its own",),
    requires=("torch", "transformers", "tokenizers"),
)

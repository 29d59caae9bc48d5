"""How the lite profile registers itself."""

from __future__ import annotations

from pathlib import Path

from data.settings import Settings
from models.base import ModelSet
from models.registry import Profile


def load(settings: Settings, variant: str) -> ModelSet:
    from models.lite.embedder import LiteEmbedder
    from models.reading.rapid import RapidReader
    from models.speech.whisper import WhisperTranscriber
    from models.tags import VocabularyTagger

    joint = LiteEmbedder(settings)
    return ModelSet(
        profile="lite",
        joint=joint,
        transcriber=WhisperTranscriber(settings),
        text_reader=RapidReader(settings),
        tagger=VocabularyTagger(joint, settings, Path(__file__).with_name("tags.npz")),
    )


PROFILE = Profile(
    name="lite",
    description="any CPU, no GPU, no model hub: CLIP ViT-B/16 pictures, English and Chinese words",
    load=load,
    artifacts=("clip-vit-b16-int8",),
    licences=(
        "pictures: MIT (OpenAI, CLIP ViT-B/16)",
        "words: MIT (Microsoft, multilingual-e5-small), tuned here, see docs/models/lite.md",
        "words: Apache-2.0 (Google, Universal Sentence Encoder Multilingual v3)",
    ),
)

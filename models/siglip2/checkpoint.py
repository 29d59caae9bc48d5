"""What the files of a CLIP-like checkpoint say, without torch: its family, its sizes, its scale."""

from __future__ import annotations

import hashlib
import json
import math
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from data.errors import WeightsUnavailable
from models.checkpoint import CheckpointFolder, read_json

# model_type -> class of transformers. SigLIP 2 of a fixed resolution is "siglip", NaFlex is "siglip2".
CLASSES = {"siglip": "SiglipModel", "siglip2": "Siglip2Model", "clip": "CLIPModel"}
_MULTILINGUAL = 100_000  # tokens: CLIP and English SigLIP know 49,408 and 32,000, the multilingual ones 250,000 or more
_NO_PIXELS = ("processor_class", "image_processor_type", "feature_extractor_type")  # keys that say nothing of pixels


class Checkpoint(CheckpointFolder):
    profile: ClassVar[str] = "siglip2"
    weights: ClassVar[str] = "model*.safetensors"  # beside them other programs' copies may lie

    @cached_property
    def family(self) -> str:
        """ "siglip", "siglip2" or "clip". Raises: WeightsUnavailable: another."""
        family = read_json(self.folder / "config.json").get("model_type")
        if family not in CLASSES:
            raise WeightsUnavailable(
                f"{self.source!r} is a {family!r} model, and not SigLIP, SigLIP 2 or CLIP.",
                remedy="Name one of these, such as siglip2:google/siglip2-base-patch16-256.",
            )
        return str(family)

    @property
    def dim(self) -> int:
        return self._shape("text_projection.weight" if self.family == "clip" else "text_model.head.weight")[0]

    @property
    def text_length(self) -> int:
        """Tokens of a text, with all that is put round it."""
        return self._shape("text_model.embeddings.position_embedding.weight")[0]

    @property
    def is_multilingual(self) -> bool:
        return self._shape("text_model.embeddings.token_embedding.weight")[0] > _MULTILINGUAL

    @property
    def picture_side(self) -> int:
        """No less than the pixels of a side that it looks at, and no more than one patch above."""
        places = self._shape("vision_model.embeddings.position_embedding.weight")[0]
        patches = math.isqrt(self.picture_settings.get("max_num_patches") or places)
        kernel = self._shape("vision_model.embeddings.patch_embedding.weight")
        patch = kernel[-1] if len(kernel) == 4 else math.isqrt(kernel[-1] // 3)
        return (patches + 1) * patch  # a side of 384 has 27 patches of 14, and a rest

    @cached_property
    def picture_settings(self) -> dict[str, Any]:
        """What makes pixels out of pictures: a file of its own, or part of the processor's in newer checkpoints."""
        if (self.folder / "preprocessor_config.json").is_file():
            return read_json(self.folder / "preprocessor_config.json")
        settings = read_json(self.folder / "processor_config.json").get("image_processor")
        if not isinstance(settings, dict):
            raise WeightsUnavailable(
                f"The folder {str(self.folder)!r} has no preprocessor_config.json.",
                remedy="Name the folder of a whole checkpoint.",
            )
        return settings

    @property
    def preprocessing(self) -> str:
        pixels = {key: value for key, value in self.picture_settings.items() if key not in _NO_PIXELS}
        digest = hashlib.blake2b(json.dumps(pixels, sort_keys=True).encode(), digest_size=4)
        return f"{self.family}-{digest.hexdigest()}"

    @cached_property
    def tokens_revision(self) -> str:
        return hashlib.blake2b((self.folder / "tokenizer.json").read_bytes(), digest_size=4).hexdigest()

    def number(self, name: str) -> float:
        """A tensor of one number, at the precision of the file."""
        from safetensors import safe_open

        if self._shape(name) not in ((), (1,)):
            raise WeightsUnavailable(f"{name!r} in {self.source!r} is not one number.", remedy="Fetch it again.")
        with safe_open(self._tensors[name][0], "pt") as file:
            return float(file.get_tensor(name).float())

    @cached_property
    def _tensors(self) -> dict[str, tuple[Path, tuple[int, ...]]]:
        return {name: (path, shape) for path, name, shape in self.tensors()}

    def _shape(self, name: str) -> tuple[int, ...]:
        if name not in self._tensors:
            raise WeightsUnavailable(
                f"The weights in {str(self.folder)!r} lack {name!r}.", remedy="Name the folder of a whole checkpoint."
            )
        return self._tensors[name][1]

"""What is named, what is missing, and what is said then."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from data.errors import MissingExtra, UsageError, WeightsUnavailable
from data.settings import load as load_settings
from models import registry
from models.siglip2 import profile
from models.siglip2.profile import DEFAULT, source
from tests.models_siglip2.conftest import write_checkpoint


def test_it_is_listed_and_names_its_extra():
    (info,) = [info for info in registry.profiles() if info.name == "siglip2"]
    assert info.extra == "siglip2" and info.installed


def test_what_a_variant_names(tmp_path, monkeypatch):
    assert source("") == DEFAULT and source("openai/clip-vit-base-patch32") == "openai/clip-vit-base-patch32"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert source("mine") == str(tmp_path / "mine")  # found again from another folder
    for wrong in ("base", "../a/b", str(tmp_path / "nowhere"), "a/b/c"):
        with pytest.raises(UsageError, match="siglip2:google/"):
            source(wrong)


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("models.siglip2.embedder.importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"secondsight\[siglip2\]"):
        profile.load(load_settings(), "")


def test_an_id_without_a_network_says_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsUnavailable, match=r"google/siglip2-none.*siglip2:/path/to/folder"):
        registry.load("siglip2:google/siglip2-none", load_settings())


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("config.json", None, "has no config.json"),
        ("config.json", '{"model_type": "blip"}', "is a 'blip' model, and not SigLIP"),
        ("tokenizer.json", None, "has no tokenizer.json"),
        ("tokenizer.json", "{}", "tokenizer.json' cannot be read"),
        ("tokenizer_config.json", '{"pad_token": "<pad>", "eos_token": "<none>"}', "names no eos_token"),
        ("preprocessor_config.json", None, "cannot be read|has no preprocessor_config.json"),
        ("preprocessor_config.json", '{"image_processor_type": "NoSuch"}', "cannot be loaded"),
        ("model.safetensors", None, "no other form of weights"),
        ("model.safetensors", "torn", "not a safetensors file"),
    ],
)
def test_a_folder_that_is_not_whole(checkpoints, tmp_path, name, text, says):
    bad = tmp_path / "bad"
    shutil.copytree(checkpoints["siglip2-fixed"], bad)
    if text is None:
        (bad / name).unlink()
    else:
        (bad / name).write_text(text)
    (bad / "pytorch_model.bin").write_bytes(b"\x80\x04.")  # never read
    with pytest.raises(WeightsUnavailable, match=says):
        joint = registry.load(f"siglip2:{bad}", load_settings()).joint
        joint.embed_images([np.zeros((8, 8, 3), np.uint8)])
        joint.embed_texts(["a cat"])


def test_weights_that_lack_a_part_are_refused(checkpoints, tmp_path):
    from safetensors.torch import load_file, save_file

    for lost in ("vision_model.encoder.layers.0.mlp.fc1.weight", "text_model.head.weight", "logit_bias"):
        bad = tmp_path / lost
        shutil.copytree(checkpoints["siglip"], bad)
        tensors = load_file(bad / "model.safetensors")
        tensors.pop(lost)
        save_file(tensors, bad / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(WeightsUnavailable, match=f"lack '{lost}'"):
            registry.load(f"siglip2:{bad}", load_settings()).joint.embed_texts(["a cat"])


def test_code_out_of_a_checkpoint_is_never_run(checkpoints, tmp_path):
    bad = tmp_path / "bad"
    shutil.copytree(checkpoints["siglip"], bad)
    ran = tmp_path / "ran"
    (bad / "evil.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Evil: pass\n")
    for name, key in (("config.json", "AutoModel"), ("preprocessor_config.json", "AutoImageProcessor")):
        told = json.loads((bad / name).read_text()) | {"auto_map": {key: "evil.Evil", "AutoConfig": "evil.Evil"}}
        (bad / name).write_text(json.dumps(told))
    joint = registry.load(f"siglip2:{bad}", load_settings()).joint
    assert joint.embed_images([np.zeros((8, 8, 3), np.uint8)]).shape == joint.embed_texts(["a"]).shape == (1, 32)
    assert not ran.exists()


def test_newer_checkpoints_keep_the_picture_settings_with_the_processor(checkpoints, tmp_path):
    new = tmp_path / "siglip"
    shutil.copytree(checkpoints["siglip"], new)
    told = json.loads((new / "preprocessor_config.json").read_text())
    (new / "preprocessor_config.json").unlink()
    (new / "processor_config.json").write_text(json.dumps({"image_processor": told, "processor_class": "X"}))
    old, moved = (registry.load(f"siglip2:{at}", load_settings()).joint for at in (checkpoints["siglip"], new))
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    assert old.identity == moved.identity
    np.testing.assert_array_equal(old.embed_images([picture]), moved.embed_images([picture]))


def test_other_programs_weights_beside_ours_change_nothing(checkpoints, tmp_path):
    both = tmp_path / "clip"
    shutil.copytree(checkpoints["clip"], both)
    before = registry.load(f"siglip2:{both}", load_settings()).joint.identity
    write_checkpoint(tmp_path / "other", "clip", seed=1)
    shutil.copy(tmp_path / "other" / "model.safetensors", both / "open_clip_model.safetensors")
    assert registry.load(f"siglip2:{both}", load_settings()).joint.identity == before

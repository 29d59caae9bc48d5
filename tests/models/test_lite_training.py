"""The texts that teach the lite profile's words and how; what needs torch is passed over without it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from models.lite.nouns import NounTable
from models.lite.training import e5, material, render, sentences, small, table, texts, wordnet


def _chinese(text: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


def test_the_lexicon_is_whole_in_both_languages() -> None:
    held = sentences.lexicon()
    assert set(held) == {
        "who", "animal", "wear", "doing", "beast", "where", "thing", "colour", "scene", "text", "abstract",
    }  # fmt: skip
    for kind, pairs in held.items():
        assert len({english for english, _ in pairs}) > 0.98 * len(pairs), kind
        assert all(english.isascii() and _chinese(chinese) for english, chinese in pairs), kind


def test_a_lexicon_line_with_a_phrase_in_one_language_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        sentences.lexicon("[who]\na man=一个男人;a woman")


def test_composed_sentences_say_the_same_in_both_languages() -> None:
    made = sentences.composed(3000, seed=1)
    assert len(dict(made)) == 3000 and made == sentences.composed(3000, seed=1) != sentences.composed(3000, seed=2)
    assert all(english.isascii() and _chinese(chinese) for english, chinese in made)
    # A place that the frame adds is named in both; what is done may name one too, in other words.
    held = sentences.lexicon()
    done = tuple(en for kind in ("doing", "beast", "scene") for en, _ in held[kind])
    phrases = {pair for pairs in held.values() for pair in pairs}
    framed = [(en, zh) for en, zh in made[len(phrases) :] if not en.endswith(done) and " next to a " not in en]
    placed = [
        any(zh in chinese for en, zh in held["where"] if english.endswith(" " + en))
        for english, chinese in framed
        if english.endswith(tuple(" " + en for en, _ in held["where"]))
    ]
    assert len(placed) > 300 and all(placed)


def test_who_wears_what_keeps_the_number_in_front() -> None:
    dressed = [zh for en, zh in sentences.composed(20_000) if en.startswith(("two men in a", "two women in a"))]
    assert len(dressed) > 5 and all(zh.startswith(("两个穿", "两个戴")) for zh in dressed), dressed


def test_captions_are_put_together_anew_of_their_own_pieces() -> None:
    captions = ["A dog runs in the snow .", "A boy plays in the sand with a ball .", "A girl sits with a book ."]
    made = sentences.recombined(captions, 8)
    words = set(" ".join(captions).lower().split())
    assert "a dog runs in the sand with a ball" in made
    assert all(set(text.split()) <= words for text in made)
    assert made == sentences.recombined(captions, 8)
    assert sentences.recombined(["dog"], 5) == []


def test_a_noun_stands_between_what_it_is_and_what_it_is_like(tmp_path: Path) -> None:
    lines = [
        "00000001 05 n 01 animal 0 000 | a living thing",
        '00000002 05 n 02 otter 0 river_otter 0 001 @ 00000001 n 0000 | a swimming mammal; "otters swim"',
        "00000003 05 n 01 seal 0 001 @ 00000001 n 0000 | a marine mammal",
        "00000004 10 n 01 seal 0 000 | a promise",
    ]
    (tmp_path / "data.noun").write_text("  licence\n" + "\n".join(lines), "latin-1")
    index = ["otter n 1 1 @ 1 0 00000002", "animal n 1 1 @ 1 0 00000001", "seal n 2 1 @ 2 0 00000004 00000003"]
    (tmp_path / "index.noun").write_text("\n".join(index), "latin-1")
    (tmp_path / "cntlist.rev").write_text("seal%1:10:00:: 1 2\n", "latin-1")
    nouns = wordnet.Nouns(tmp_path)
    assert nouns.described("otters") == "otters: a swimming mammal"
    assert nouns.described("to swim") == "to swim"
    # A thing counts four times: 4 for the animal against 1 + 2 taggings of the promise.
    rows, weights = nouns.of("Seal")
    assert rows == [2, 3] and np.allclose(weights, [4 / 7, 3 / 7])
    made = wordnet.smoothed(["animal", "otter", "seal", "to swim"], np.eye(4, dtype=np.float32), nouns)
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    assert np.array_equal(made[3], [0, 0, 0, 1])  # no noun: as it was
    assert made[1, 1] > made[1, 0] > made[1, 2] > 0  # itself, what it is, what is beside it


def test_the_packed_encoder_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(-8, 8, (100, 2, 32)).astype(np.float32)
    codes[..., 0] = -8  # as in the layout: the largest of a block has this code
    array = (codes * rng.uniform(0.01, 0.02, (100, 2, 1)).astype(np.float32)).reshape(100, 64)
    e5.save({"a.w": array, "a.b": np.ones(3, np.float32)}, tmp_path / "e5.npz")
    back = e5.load(tmp_path / "e5.npz")
    assert np.allclose(back["a.w"], array, atol=1e-6) and np.array_equal(back["a.b"], np.ones(3))


def test_a_drawn_word_is_on_the_page_and_a_long_one_fits() -> None:
    fonts = "/usr/share/fonts/truetype/dejavu/"
    if not Path(fonts).exists():
        pytest.skip("no DejaVu fonts here")
    short, long = render.mask("otter", 0, fonts), render.mask("a freshwater mammal with webbed feet " * 4, 0, fonts)
    for page in (short, long):
        assert page.shape == (224, 224) and 0.01 < (page > 127).mean() < 0.5
        assert not page[:3].any() and not page[:, :3].any() and not page[:, -3:].any()
    assert (short > 127).any(axis=1).sum() < (long > 127).any(axis=1).sum()


def test_the_command_teaches_a_toy_to_the_end(tmp_path: Path) -> None:
    """Random weights, but the whole path: teacher, student, fold table, a text.npz that the tower reads."""
    for name in ("torch", "transformers", "tokenizers"):
        pytest.importorskip(name)
    from models.lite.text import TextTower
    from models.lite.training.__main__ import main

    common = ["--small", "--work", str(tmp_path), "--fold", "0", "--device", "cpu", "--scale", "0.01"]
    main([*common, "--steps", "4", "--teacher-steps", "2", "--stage", "teacher", "student", "evaluate"])
    run = tmp_path / "runs" / "fold0"
    table = json.loads((run / "table.json").read_text("utf-8"))
    assert set(table) == {"teacher", "student", "student and nouns"}
    # Its pictures are sums of directions of words, and so are its drawn texts: the teacher must find them.
    assert table["teacher"]["en"][0] > 0.8 and set(table["student"]) == {"en", "zh", "names", "names, a photo of"}
    with np.load(run / "text.npz", allow_pickle=False) as held:
        tower = TextTower({name: held[name] for name in held.files})
    assert tower.embed(["a red car", "沙发"]).shape == (2, 512)
    main([*common, "--without", "mpnet", "wordnet", "--stage", "teacher"])  # leaves parts out, in a run of its own
    assert (tmp_path / "runs" / "fold0-no-mpnet-no-wordnet" / "taught.npy").exists()


def test_nothing_of_a_held_out_photograph_is_learnt_from(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    pytest.importorskip("tokenizers")
    small.make(tmp_path)
    flickr, _ = texts.alignment(tmp_path)
    caption = str(flickr["captions_en"][0])
    with gzip.open(tmp_path / "translated.jsonl.gz", "wt", encoding="utf-8") as file:
        for row in range(small.PHOTOGRAPHS):
            file.write(
                json.dumps({"en": f"{caption} {row}", "zh": f"狗{row}", "origin": "zh-flickr", "image": row}) + "\n"
            )
    some = material.load(tmp_path, 0)
    _, _, captioned, named = material.fold(0, small.PHOTOGRAPHS, material.held_out(small.PHOTOGRAPHS))
    out = set(captioned.tolist())
    held = {texts.cleaned(str(flickr["captions_en"][row])) for row in out}
    learnt = {
        text
        for text, unseen in zip(some.english, [*some.unseen, *[False] * len(some.english)], strict=False)
        if not unseen
    }
    assert len(out) == 30 and not learnt & held
    assert not out & set(some.captions.picture.tolist()) and not out & set(some.captions_zh.picture.tolist())
    assert not set(named.tolist()) & set(some.names.picture.tolist())
    assert {int(zh[1:]) for zh, _, _ in some.translated} == set(range(small.PHOTOGRAPHS)) - out
    assert all(int(zh[1:]) == picture for zh, _, picture in some.translated)
    assert not material.load(tmp_path, 0, ["flickr8k"]).translated


def test_a_noun_is_looked_up_as_people_write_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = [f"thing {row}" for row in range(400)] + ["otter", "grass", "otter"]
    basis = rng.standard_normal((20, 512))  # vectors of a language lie on few axes
    vectors = material.unit((rng.standard_normal((len(words), 20)) @ basis).astype(np.float32))
    table.write(words, vectors, tmp_path / "nouns.npz")
    with np.load(tmp_path / "nouns.npz", allow_pickle=False) as held:
        nouns = NounTable({name: held[name] for name in held.files})
    assert len(nouns) == 402
    asked = ["Otter", "two otters swim", "a photo of an  otter", "otters", "grass", "", "水獭"]
    at, found = nouns.look_up(asked)
    assert at == [0, 2, 3, 4] and np.allclose(found[0], found[1]) and np.allclose(found[0], found[2])
    assert found[0] @ vectors[400] > 0.93 > 0.5 > found[0] @ found[3]
    assert nouns.look_up(["nothing of it"])[1].shape == (0, 512)

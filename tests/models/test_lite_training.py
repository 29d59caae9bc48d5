"""The texts that teach the lite profile's words; torch is not needed."""

from __future__ import annotations

from models.lite.training import sentences


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
    import pytest

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

"""Tags: the list of names, and what the lite profile says of real pictures, through the indexer."""

from pathlib import Path

import numpy as np
import pytest

from data import vocabulary
from data.colors import share
from data.settings import load
from data.store.lance import open_reader
from indexer.describe import Seen, described, glimpse
from indexer.pipeline import index
from models.base import ModelIdentity
from models.registry import load as load_models
from models.tags import VocabularyTagger
from search import query
from search.engine import SearchEngine

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
SEEN = {  # of a picture: a name that must be among its best three
    "photos/IMG_0003.jpg": "cup of coffee", "photos/IMG_0004.jpg": "koala", "photos/IMG_0012.jpg": "cat",
    "photos/IMG_0013.jpg": "giant panda", "photos/IMG_0016.jpg": "astronaut", "photos/IMG_0031.jpg": "baseball",
    "photos/IMG_0040.png": "frying pan", "products/SS-1008_a.jpg": "piano", "products/SS-1006_a.jpg": "electric fan",
}  # fmt: skip


@pytest.fixture(scope="module")
def models():
    return load_models("lite", load())


def test_the_vocabulary_names_nothing_twice():
    names = vocabulary.names()
    assert len(names) > 1500
    every = [name.english for name in names]
    chinese = [word for name in names for word in name.chinese]
    assert len(set(every)) == len(every) and len(set(chinese)) == len(chinese)
    assert all(name.english == name.english.strip().casefold() and name.english.isascii() for name in names
               if name.english != "t-shirt")  # fmt: skip
    assert all(word and word == word.strip() for word in chinese)


@pytest.mark.parametrize(
    "word, names",
    [
        ("椅子", ("chair",)),
        ("T恤", ("t-shirt",)),
        ("熊猫", ("giant panda",)),
        ("Chair", ("chair",)),
        ("没有这个词", ("没有这个词",)),
    ],
)
def test_chinese_words_lead_to_names(word, names):
    assert vocabulary.english(word) == names


def test_a_part_of_a_chinese_name_finds_all_that_have_it():
    assert vocabulary.english("吉他") == ("guitar",)
    assert set(vocabulary.english("红酒")) == {"red wine"}
    assert {"wine bottle", "wine glass"} & set(vocabulary.english("酒"))
    assert vocabulary.chinese("koala") == "考拉" and vocabulary.chinese("nothing here") == "nothing here"


@pytest.fixture(scope="module")
def library(models, tmp_path_factory):
    library = tmp_path_factory.mktemp("tags") / "lib"
    files = [SAMPLES / name for name in SEEN] + [SAMPLES / "films" / "clip_2.mp4"]
    report = index(files, library=library, models=models, settings=load(library=library))
    assert not report.failed and report.indexed == len(files)
    return library


def test_indexing_tags_and_colours_real_pictures(models, library):
    store = open_reader(library)
    by_name = {item.path.name: store.segments(item.media_id) for item in store.media()}
    for name, expected in SEEN.items():
        (segment,) = by_name[Path(name).name]
        best = [tag.name for tag in segment.tags[:3]]
        assert expected in best, (name, segment.tags)
        chances = [tag.probability for tag in segment.tags]
        assert chances == sorted(chances, reverse=True) and min(chances) >= 0.2 and max(chances) <= 1
        assert segment.colors
    assert share(by_name["IMG_0012.jpg"][0].colors, "brown") > 0.5
    assert "marathon" in {tag.name for segment in by_name["clip_2.mp4"] for tag in segment.tags}
    assert all(segment.colors for segment in by_name["clip_2.mp4"])
    (stages,) = {tuple(sorted(done.items())) for done in store.stages().values() if "speech" not in done}
    assert dict(stages)["tags"] == models.tagger.revision
    store.close()


class Made:
    """A space in which every wording has a place of its own, far from all others."""

    def __init__(self, revision="1"):
        self.identity = ModelIdentity("made", revision, 128)
        self.asked = 0

    @staticmethod
    def place(number):
        vector = np.random.default_rng(number).normal(size=128).astype(np.float32)
        return vector / np.linalg.norm(vector)

    def embed_texts(self, texts):
        self.asked += len(texts)
        return np.stack([self.place(number) for number in range(self.asked - len(texts), self.asked)])

    def match_probability(self, query_vectors, similarities, modality):
        return 1 / (1 + np.exp(-40 * (similarities - 0.5)))


def test_names_are_embedded_once_for_a_model_and_damage_is_made_good(tmp_path):
    settings = load(cache=tmp_path)
    space, names = Made(), vocabulary.names()
    picture = space.place(7) + space.place(7 + len(names))  # both wordings of the eighth name fit
    picture = picture[None] / np.linalg.norm(picture)
    tagger = VocabularyTagger(space, settings)
    assert [tag.name for tag in tagger.tags(picture)[0]] == [names[7].english]
    assert tagger.tags(np.zeros((0, 128), np.float32)) == [] and tagger.tags(np.zeros((1, 128), np.float32)) == [()]
    assert space.asked == 2 * len(names)
    again = Made()
    assert VocabularyTagger(again, settings).tags(picture)[0][0].name == names[7].english and again.asked == 0
    (kept,) = (tmp_path / "tags").iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    VocabularyTagger(again, settings).tags(picture)
    assert again.asked == 2 * len(names)
    VocabularyTagger(Made("2"), settings).tags(picture)
    assert len(list((tmp_path / "tags").iterdir())) == 2


def test_colours_go_to_the_segment_they_are_seen_in():
    from data.store.base import FileRow, MediaRows
    from data.types import MediaInfo, Segment

    shots = [Segment("m", 0, 0.0, 2.0), Segment("m", 1, 2.0, 4.0), Segment("m", 2, 4.0, 5.0)]
    glimpses = np.stack([glimpse(0.0, np.full((9, 30, 3), rgb, np.uint8)) for rgb in ((200, 0, 0), (0, 0, 200))])
    rows = MediaRows(
        "m", MediaInfo("video", 30, 9, 5.0, "mp4", "h264"), 1, np.array([0.5, 1.5, 2.0]), np.array([0, 0, 1], np.int32),
        shots, {"joint": np.eye(3, dtype=np.float32)}, FileRow("/m", "m", 1, 0, 0, 0), stages={"frames": "x"},
    )  # fmt: skip
    (done,) = described([Seen(rows, glimpses, np.array([0, 0, 1]))], None)
    assert [len(segment.colors) for segment in done.segments] == [1, 1, 0]
    assert done.segments[0].colors[0].red == 200 and done.segments[1].colors[0].blue == 200
    assert done.stages == {"frames": "x", "colors": "1"}


@pytest.fixture(scope="module")
def engine(models, library):
    with SearchEngine(library, models, load(library=library)) as opened:
        yield opened


@pytest.mark.parametrize(
    "words, name",
    [
        ("tag:考拉", "IMG_0004.jpg"),
        ("tag:平底锅", "IMG_0040.png"),
        ("tag:piano color:black", "SS-1008_a.jpg"),
        ("tag:cat color:#a07040", "IMG_0012.jpg"),
    ],
)
def test_tags_and_colours_are_demands_of_a_search(engine, words, name):
    found = engine.search(query.build(words))
    assert [moment.media.path.name for moment in found.moments] == [name] and not found.no_match
    assert {"tag", "color"} & {evidence.channel for evidence in found.moments[0].evidence}


def test_the_packed_names_are_those_of_the_towers_as_they_are(models):
    from models import lite, tags

    tagger = tags.VocabularyTagger(models.joint, load())
    packed = tags._unpacked(Path(lite.__file__).with_name("tags.npz"), tagger.revision)
    assert packed is not None, "made for other towers or names: run python -m models.lite.training.tags"
    some = np.random.default_rng(0).choice(len(packed), 24, replace=False)
    made = models.joint.embed_texts([tags._texts()[index] for index in some])
    assert packed.shape == (2 * len(vocabulary.names()), made.shape[1])
    assert (packed[some] * made).sum(axis=1).min() > 0.999

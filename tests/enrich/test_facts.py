"""Facts that files state of themselves, as phones and cameras write them."""

import pytest

from data.errors import QuerySyntaxError
from data.media.tags import from_container


@pytest.mark.parametrize(
    "text, place",
    [
        ("+27.5916+086.5640+8850/", (27.5916, 86.564)), ("-33.5000+151.0100/", (-33.5, 151.01)),
        ("+4852.45-00220.55/", (48 + 52.45 / 60, -(2 + 20.55 / 60))),
        ("+485227.0-0022033.5+035.0CRSWGS_84/", (48 + 52 / 60 + 27 / 3600, -(2 + 20 / 60 + 33.5 / 3600))),
        ("+40-075/", (40, -75)), ("+91.0000+000.0000/", None), ("48.85,2.29", None), ("+1+1", None),
    ],
)  # fmt: skip
def test_places_of_iso_6709(text, place):
    for key in ("location", "com.apple.quicktime.location.ISO6709"):
        _, tags = from_container({key: text})
        found = (float(tags["latitude"]), float(tags["longitude"])) if "latitude" in tags else None
        assert found == (place and pytest.approx(place, abs=1e-5))


@pytest.mark.parametrize(
    "written, camera",
    [
        ({"com.apple.quicktime.make": "Apple", "com.apple.quicktime.model": "iPhone 15"}, "Apple iPhone 15"),
        ({"com.android.manufacturer": "Google", "com.android.model": "Pixel 8"}, "Google Pixel 8"),
        ({"make": "GoPro", "model": "GoPro HERO9"}, "GoPro HERO9"),
    ],
)
def test_cameras_of_phones(written, camera):
    assert from_container(written)[1]["camera"] == camera


@pytest.mark.parametrize(
    "written, captured_at",
    [
        ({"creation_time": "2024-05-01T10:00:00.000000Z"}, "2024-05-01T10:00:00+00:00"),
        ({"com.apple.quicktime.creationdate": "2024-05-01T12:00:00+0200", "creation_time": "2024-06-01T00:00:00Z"},
         "2024-05-01T12:00:00+02:00"),
        ({"creation_time": "1904-01-01T00:00:00Z"}, ""), ({"creation_time": "yesterday"}, ""),
    ],
)  # fmt: skip
def test_when_it_was_taken(written, captured_at):
    assert from_container(written)[0] == captured_at


def test_pictures_are_found_by_where_they_were_taken(tmp_path):
    """EXIF of real files, through the index, asked for by place."""
    from PIL import Image

    from data.settings import load
    from indexer.pipeline import index
    from models.registry import load as load_models
    from search.engine import SearchEngine

    places = {
        "paris": ("N", 48.8584, "E", 2.2945),
        "rio": ("S", 22.9519, "W", 43.2105),
        "fiji": ("S", 17.7, "E", 179.95),
    }
    for number, (name, (north, latitude, east, longitude)) in enumerate(places.items()):
        exif = Image.Exif()
        parts = [(float(int(x)), (x - int(x)) * 60, 0.0) for x in (latitude, longitude)]
        exif.get_ifd(0x8825).update({1: north, 2: parts[0], 3: east, 4: parts[1]})
        Image.new("RGB", (64, 64), (60 * number, 90, 120)).save(tmp_path / f"{name}.jpg", exif=exif)
    Image.new("RGB", (64, 64)).save(tmp_path / "nowhere.jpg")
    models, settings = load_models("lite", load()), load(library=tmp_path / "lib")
    index([tmp_path], library=tmp_path / "lib", models=models, settings=settings)

    def found(words):
        return {moment.media.path.stem for moment in engine.search(words).moments}

    with SearchEngine(tmp_path / "lib", models, settings) as engine:
        assert found("near:48.86,2.3") == {"paris"} and found("near:48.86,2.5") == set()
        assert found("near:48.86,2.5,20km") == {"paris"} and found("near:-22.9,-43.2,50") == {"rio"}
        with pytest.raises(QuerySyntaxError, match="near"):
            found("near:paris")

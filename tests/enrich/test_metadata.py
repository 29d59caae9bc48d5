"""What owners say of their files: read with types and line numbers, laid over a library, and asked for."""

import json
import shutil
from pathlib import Path

import pytest

from data.errors import UsageError
from data.settings import load
from data.store.base import FileRow
from data.store.lance import create_or_open, open_reader, read_manifest
from indexer.metadata import _Names, apply_metadata
from indexer.pipeline import index
from indexer.tables import read_object, read_table
from models.registry import load as load_models
from search.engine import SearchEngine
from ui.cli import app

SAMPLES = Path(__file__).parents[2] / "data" / "samples"


def table(tmp_path, text, name="t.csv", key="", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return read_table(path, key)


def test_the_samples_table_is_read_whole():
    read = read_table(SAMPLES / "products.csv")
    assert len(read.rows) == 36 and read.problems == ()
    assert read.rows[0].name == "products/SS-1001_a.jpg" and read.rows[0].line == 2
    assert read.rows[0].fields == {"sku": "SS-1001", "name": "Winchester armchair", "category": "armchair"}


def test_types_are_seen_in_whole_columns(tmp_path):
    read = table(tmp_path, "file,price,sku,video,Size (cm),note\na.jpg,1.5,007,yes,10,x\nb.jpg,20,12,no,,\n")
    assert read.rows[0].fields == {"price": 1.5, "sku": "007", "video": True, "size_cm": 10.0, "note": "x"}
    assert read.rows[1].fields == {"price": 20.0, "sku": "12", "video": False, "size_cm": None, "note": None}


def test_declared_types_refuse_what_is_none_by_line(tmp_path):
    text = 'file,price:number,from:date,note:text\na.jpg,"1,299.00",2026/1/3,"two\nlines"\nb.jpg,cheap,2026-02-01,1\n'
    read = table(tmp_path, text + "c.jpg,5,soon,1\nd.jpg,€7,2026-02-01T10:00,2\n,1,2026-01-01,3\ne.jpg,1\n")
    assert [(row.line, row.fields) for row in read.rows] == [
        (2, {"price": 1299.0, "from": "2026-01-03", "note": "two lines"}),
        (6, {"price": 7.0, "from": "2026-02-01", "note": "2"}),
    ]
    assert [(Path(told.path).name, told.reason) for told in read.problems] == [
        ("t.csv:4", "'price' is 'cheap', not a number"), ("t.csv:5", "'from' is 'soon', not a date (YYYY-MM-DD)"),
        ("t.csv:7", "names no file in its column 'file'"), ("t.csv:8", "has 2 cells, not 4"),
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_office_programs_write(tmp_path, encoding, delimiter):
    text = "file,颜色\r\n椅子.jpg,红色\r\n".replace(",", delimiter)
    (row,) = table(tmp_path, text, encoding=encoding).rows
    assert row.name == "椅子.jpg" and row.fields == {"颜色": "红色"}


def test_json_brings_its_types(tmp_path):
    text = json.dumps([{"sku": "A1", "price": 3, "tags": ["x", "y"], "gone": None}, {"sku": "A2", "price": {"no": 1}}])
    read = table(tmp_path, text, "t.json")
    assert read.rows[0].fields == {"sku": "A1", "price": 3.0, "tags": "x, y", "gone": None}
    assert [told.path[-4:] for told in read.problems] == ["on:2"]
    lines = table(tmp_path, '{"file": "a", "n": 1}\n\nnot json\n[1]\n{"file": "b", "n": true}\n', "t.jsonl")
    assert [(row.line, row.fields) for row in lines.rows] == [(1, {"n": 1.0}), (5, {"n": True})]
    assert [told.path.rpartition(":")[2] for told in lines.problems] == ["3", "4"]
    (by_name,) = table(tmp_path, '{"a.jpg": {"price": 2}}', "u.json").rows
    assert by_name.name == "a.jpg" and by_name.fields == {"price": 2.0}


@pytest.mark.parametrize(
    "text, name, key",
    [
        ("a,b\n1,2\n", "t.csv", ""), ("file,x\n", "t.xlsx", ""), ("file,file\n1,2\n", "t.csv", ""),
        ("file,p:money\n1,2\n", "t.csv", ""), ("file,p\n1,2\n", "t.csv", "code"), ("[1, 2]", "t.json", ""),
        ("{", "t.json", ""), ("[" * 100_000, "t.json", ""),
    ],
)  # fmt: skip
def test_what_is_no_table_is_told(tmp_path, text, name, key):
    with pytest.raises(UsageError):
        table(tmp_path, text, name, key)


def test_untrusted_text_is_bounded_and_cleaned(tmp_path):
    (row,) = table(tmp_path, f"file,note\na.jpg,\x1b[31m\u202e{'x' * 5000}\n").rows
    assert row.fields["note"] == "[31m" + "x" * 996
    path = tmp_path / "a.jpg.json"
    path.write_text(json.dumps({"title": "Lamp", "geo": {"lat": 1}, "views": 3}))
    assert read_object(path) == {"title": "Lamp", "views": 3.0}


@pytest.mark.parametrize("text", ["[1]", "{", '{"price": NaN}', '{"price": 1e999}', "[" * 100_000, "\xff\x00"])
def test_a_bad_sidecar_is_told(tmp_path, text):
    path = tmp_path / "a.jpg.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=r"a\.jpg\.json"):
        read_object(path)


def test_names_are_read_as_exactly_as_they_can_be():
    paths = ["/m/shoes/SS-1_a.jpg", "/m/bags/SS-1_a.jpg", "/m/SS-10.jpg", "/m/X9/front.png"]
    known = _Names({path: FileRow(path, str(number), 1, 0, 0, 0) for number, path in enumerate(paths)})
    here = Path("/m")
    assert known.media_of("shoes/SS-1_a.jpg", here) == {"0"} == known.media_of("SHOES/ss-1_A.jpg", Path("/other"))
    assert known.media_of("SS-1_a.jpg", here) == {"0", "1"} == known.media_of("ss-1", here)
    assert known.media_of("SS-10", here) == {"2"} and known.media_of("x9", here) == {"3"}
    assert known.media_of("SS-2", here) == known.media_of("s", here) == known.media_of("/", here) == set()


@pytest.fixture(scope="module")
def models():
    return load_models("lite", load())


@pytest.fixture
def library(models, tmp_path):
    folder = tmp_path / "media" / "products"
    folder.mkdir(parents=True)
    for name in ("SS-1001_a.jpg", "SS-1001_b.jpg", "SS-1005_a.jpg"):
        shutil.copy(SAMPLES / "products" / name, folder)
    (folder / "SS-1005_a.jpg.json").write_text('{"title": "Red one", "price": 5}')
    (tmp_path / "prices.csv").write_text("sku,price:number,stock\nSS-1001,300,yes\nSS-1005,90,no\nSS-9,1,no\n")
    report = index(
        [folder], library=tmp_path / "lib", models=models, settings=load(library=tmp_path / "lib"),
        metadata=[read_table(tmp_path / "prices.csv")],
    )  # fmt: skip
    assert report.indexed == report.told == 3 and not report.failed
    assert [(Path(told.path).name, told.reason) for told in report.warnings] == [
        ("prices.csv:4", "no file of the library is named 'SS-9'")
    ]
    return tmp_path / "lib"


def fields_of(library):
    store = open_reader(library)
    try:
        return {item.path.name: dict(item.fields) for item in store.media()}
    finally:
        store.close()


def test_fields_come_with_the_index_stay_and_are_asked_for(models, library):
    said = fields_of(library)
    assert said["SS-1001_b.jpg"] == {"sku": "SS-1001", "price": 300.0, "stock": True}
    assert said["SS-1005_a.jpg"] == {"sku": "SS-1005", "price": 90.0, "stock": False, "title": "Red one"}
    with SearchEngine(library, models, load(library=library)) as engine:
        assert engine.fields()["price"] is float
        found = engine.search("a product price<100")
        assert [moment.media.path.name for moment in found.moments] == ["SS-1005_a.jpg"]
        found = engine.search("stock:yes price>=300")
        assert len(found.moments) == 2
    again = index([library.parent / "media"], library=library, models=models, settings=load(library=library))
    assert again.indexed == 0 and fields_of(library)["SS-1001_a.jpg"]["price"] == 300.0


def test_a_new_table_is_laid_over_without_indexing(library, tmp_path):
    before = fields_of(library)
    (tmp_path / "new.csv").write_text("file,price,stock\nSS-1001_a.jpg,250,\n")
    manifest = read_manifest(library)
    store = create_or_open(library, manifest.models, profile=manifest.profile)
    try:
        applied = apply_metadata(store, [read_table(tmp_path / "new.csv")])
        same = apply_metadata(store, [read_table(tmp_path / "new.csv")])
    finally:
        store.close()
    assert (applied.media, applied.changed, applied.problems) == (1, 1, ()) and same.changed == 0
    after = fields_of(library)
    assert after["SS-1001_a.jpg"] == {"sku": "SS-1001", "price": 250.0}, "an empty cell takes the field away"
    assert after["SS-1001_b.jpg"] == before["SS-1001_b.jpg"]


def test_the_command_says_what_was_passed_over(library, tmp_path):
    from typer.testing import CliRunner

    (tmp_path / "new.csv").write_text("file,price:number\nSS-1001_a.jpg,10\nSS-1001_b.jpg,dear\n")
    runner = CliRunner()
    done = runner.invoke(app, ["metadata", str(tmp_path / "new.csv"), "--library", str(library), "--json"])
    said = json.loads(done.stdout)
    assert done.exit_code == 3 and said["changed"] == 1 and said["problems"][0]["path"].endswith("new.csv:3")
    told = runner.invoke(app, ["metadata", "--library", str(library), "--json"])
    assert json.loads(told.stdout)["fields"]["price"] == {"type": "number", "files": 3, "values": 3}
    wrong = runner.invoke(app, ["metadata", str(tmp_path / "no.csv"), "--library", str(library)])
    assert wrong.exit_code == 2 and "no.csv" in wrong.stderr


def test_all_that_is_known_of_a_file(library):
    from typer.testing import CliRunner

    file = library.parent / "media" / "products" / "SS-1005_a.jpg"
    done = CliRunner().invoke(app, ["info", str(file), "--library", str(library), "--json"])
    told = json.loads(done.stdout)
    assert told["fields"]["title"] == "Red one" and told["kind"] == "image" and told["aspect"] == "1:1"
    assert "white" in told["colors"] and "red" in told["colors"] and "coffee maker" in told["tags"]
    other = CliRunner().invoke(app, ["info", str(library.parent / "no.jpg"), "--library", str(library)])
    assert other.exit_code == 2 and "no.jpg" in other.stderr

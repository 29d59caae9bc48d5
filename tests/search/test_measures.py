"""The measures by hand-made answers, the table they are read from, and what people said of results."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from data.errors import LibraryDamaged, UsageError
from data.types import MediaInfo, MediaItem, Moment, Query, SearchResponse
from search import evaluate, feedback, language
from search.evaluate import Case, Truth

FILM = MediaItem("f", Path("/x/films/a.mp4"), MediaInfo("video", 1, 1, 60.0, "mp4", "h264"))
STILL = MediaItem("s", Path("/x/b.jpg"), MediaInfo("image", 1, 1, None, "jpeg", ""))
OTHER = MediaItem("o", Path("/x/c.jpg"), MediaInfo("image", 1, 1, None, "jpeg", ""))
CASE = Case("q", "", "moment", (Truth("films/a.mp4", 10.0, 20.0),))


def at(start_s: float, peak_s: float, end_s: float) -> Moment:
    return Moment(FILM, start_s, peak_s, end_s, 0.9)


def still(item: MediaItem, score: float = 0.9) -> Moment:
    return Moment(item, None, None, None, score)


def outcome(case: Case, *moments: Moment) -> evaluate.Outcome:
    return evaluate.judge(case, SearchResponse(Query("q"), moments, False, {"total": 5.0}))


def test_a_moment_is_judged_by_overlap_and_peak() -> None:
    right = outcome(CASE, at(10, 12, 20))
    assert (right.rank, right.iou, right.seek_error_s, right.precision) == (1, 1.0, 0.0, 1.0)
    half = outcome(CASE, at(15, 22.5, 25))
    assert half.iou == pytest.approx(1 / 3) and half.seek_error_s == 2.5 and half.precision == 0
    second = outcome(CASE, still(STILL), at(10, 12, 20))
    assert (second.rank, second.iou, second.seek_error_s) == (2, 0.0, None) and second.precision == 0.5
    assert outcome(CASE, still(STILL)).rank is None


def test_a_copy_counts_for_a_still_and_not_for_a_second() -> None:
    case = Case("q", "", "still", (Truth("b.jpg", None, None),))
    assert outcome(case, replace(still(OTHER), same=(STILL,))).rank == 1
    assert outcome(CASE, replace(still(OTHER), same=(FILM,))).rank is None


def test_two_moments_cannot_both_find_one_truth() -> None:
    twice = outcome(CASE, at(10, 12, 20), at(10, 12, 19.9))
    assert twice.precision == 1.0
    two = Case("q", "", "moment", (*CASE.truths, Truth("films/a.mp4", 40.0, 50.0)))
    assert outcome(two, at(10, 12, 20), at(10, 12, 19.9)).precision == 0.5
    assert outcome(two, at(40, 41, 50), at(0, 1, 2), at(10, 12, 20)).precision == pytest.approx((1 + 2 / 3) / 2)


def test_summary_and_its_intervals() -> None:
    none = Case("n", "", "none", ())
    outcomes = [outcome(CASE, at(10, 12, 20)) for _ in range(6)]
    outcomes += [outcome(CASE, still(STILL)) for _ in range(2)]
    outcomes += [outcome(none, still(OTHER, 0.1)) for _ in range(4)]
    measures = evaluate.summary(outcomes)
    assert measures["medium@1"] == 0.75 and measures["mAP"] == 0.75 and measures["auroc_no_match"] == 1.0
    spread = evaluate.intervals(outcomes, rounds=300)
    assert spread["medium@1"][0] < 0.75 < spread["medium@1"][1] <= 1 and spread["auroc_no_match"] == (1.0, 1.0)
    assert evaluate.times_ms(outcomes) == {"total": (5.0, 5.0)}
    assert math.isnan(evaluate.summary([])["medium@1"])


def test_reading_cases(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    head = "query,image,file,start_s,end_s,verdict,box\n"
    path.write_text(
        head + 'a cat,,a.mp4,1,2,,\na cat,,b.jpg,,,,\nnothing,,,,,,\na cat,,c.jpg,,,bad,\n,x.jpg,d.jpg,,,,"1,2,3,4"\n',
        "utf-8",
    )
    first, nothing, box = evaluate.read_cases(path)
    assert [truth.file for truth in first.truths] == ["a.mp4", "b.jpg"] and first.truths[0].end_s == 2.0
    assert nothing.truths == () and (box.image, box.box) == ("x.jpg", "1,2,3,4")
    for text, says in ((head + "a,,f,x,1,,\n", "line 2"), ("query,file\n", "lacks"), (head + ",,f,,,,\n", "nothing")):
        path.write_text(text, "utf-8")
        with pytest.raises(UsageError, match=says):
            evaluate.read_cases(path)
    path.write_bytes(b"query,image,file,start_s,end_s\n\xff\xfe,,,,\n")
    with pytest.raises(UsageError, match="UTF-8"):
        evaluate.read_cases(path)


def test_verdicts_are_kept_and_come_back_as_cases(tmp_path: Path) -> None:
    assert list(feedback.judgements(tmp_path)) == []
    feedback.record(tmp_path, feedback.Judgement("a cat", "/x/films/a.mp4", True, start_s=1.0, end_s=2.0))
    feedback.record(tmp_path, feedback.Judgement('a "cat"\n', "/x/b.jpg", False))
    good, bad = feedback.judgements(tmp_path)
    assert good.good and good.given_at.startswith("20") and good.end_s == 2.0
    assert feedback.Judgement("-dog cat", "", True).row()["query"] == "'-dog cat"
    assert feedback.unquoted("'-dog cat") == "-dog cat" and feedback.unquoted("'tis") == "'tis"
    assert bad.row()["verdict"] == "bad" and bad.row()["start_s"] == ""
    with pytest.raises(UsageError):
        feedback.record(tmp_path, feedback.Judgement("", "/x/b.jpg", False))
    with open(tmp_path / feedback.FILE, "a") as file:
        file.write("{}\n")
    with pytest.raises(LibraryDamaged, match="Line 3"):
        list(feedback.judgements(tmp_path))


def test_a_verdict_that_does_not_fit_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feedback.record(tmp_path, feedback.Judgement("a cat", "/x/b.jpg", True))
    write = os.write
    monkeypatch.setattr(feedback.os, "write", lambda target, line: write(target, line[:20]))  # as on a full disk
    with pytest.raises(OSError, match="No space left"):
        feedback.record(tmp_path, feedback.Judgement("a dog", "/x/b.jpg", True))
    monkeypatch.undo()
    feedback.record(tmp_path, feedback.Judgement("a bird", "/x/b.jpg", True))
    assert [judgement.query for judgement in feedback.judgements(tmp_path)] == ["a cat", "a bird"]


@pytest.mark.parametrize("name", ["samples", "heldout", "titles"])
def test_the_watched_questions_can_be_asked_and_their_times_be(name: str) -> None:
    cases = evaluate.read_cases(Path(__file__).parents[2] / "benchmarks" / "queries" / f"{name}.csv")
    assert len(cases) >= 18
    for case in cases:
        assert not case.text or language.parse(case.text).terms
        for truth in case.truths:
            assert (truth.start_s is None) == (truth.end_s is None)
            assert truth.start_s is None or truth.end_s is None or 0 <= truth.start_s < truth.end_s

"""Damaged files: each is indexed, indexed in part with a remark, recorded as failed, or not media; none is lost."""

from __future__ import annotations

import pytest

from benchmarks import damage
from models.base import ModelSet


def test_damaged_files_are_all_accounted_for(colour_models: ModelSet, monkeypatch: pytest.MonkeyPatch) -> None:
    report = damage.run(60, seed=3, workers=2, models=colour_models, most_bytes=700_000)
    known = report.indexed + len(report.failed) + sum(report.ignored.values())
    assert known == 60 and not report.interrupted
    assert report.indexed and report.failed
    told = [*report.failed, *report.warnings]
    assert all(one.reason and "\n" not in one.reason and "Traceback" not in one.reason for one in told)

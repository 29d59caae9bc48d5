"""How well "nothing here matches" is told: questions with an answer beside questions of another library.

    python -m benchmarks.no_match LIBRARY=QUERIES.csv LIBRARY=QUERIES.csv

Of each library its plain questions (moments and stills) stand beside its own questions without an answer, which were
written to be far from everything, and beside the stills' questions of the other library, which were not: a part of
such a question is often there (a palace without its glass pyramid), and a few of them may have an answer after all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from data.settings import load
from search.engine import LEAST_PROBABILITY, SearchEngine
from search.evaluate import Case, Outcome, auroc, judge, read_cases

PLAIN = ("moment", "still")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs=2, help="LIBRARY=QUERIES.csv")
    libraries, tables = zip(*(given.split("=") for given in parser.parse_args().sets), strict=True)
    cases = [[case for case in read_cases(Path(table)) if case.text and not case.image] for table in tables]
    for library, own, other in zip(libraries, cases, cases[::-1], strict=True):
        settings = load(library=Path(library), localise=0)
        with SearchEngine(settings.library, settings=settings) as engine:
            plain = asked(engine, [case for case in own if case.type in PLAIN])
            none = asked(engine, [case for case in own if case.type == "none" and ":" not in case.text])
            foreign = asked(engine, [case for case in other if case.type == "still"])
        first = [one for one in plain if one.rank == 1]
        print(f"{library}: doubted {doubted(plain)} of {len(plain)}, {doubted(first)} of {len(first)} right first")
        for name, without in (("far", none), ("of the other library", foreign)):
            scores = [one.score for one in without]
            print(
                f"  without an answer, {name}: told {doubted(without)} of {len(without)}, "
                f"AUROC {auroc([one.score for one in plain], scores):.2f}, "
                f"beside those right first {auroc([one.score for one in first], scores):.2f}"
            )


def asked(engine: SearchEngine, cases: Sequence[Case]) -> list[Outcome]:
    return [judge(case, engine.search(engine.query(case.text))) for case in cases]


def doubted(outcomes: Sequence[Outcome]) -> int:
    return sum(one.score < LEAST_PROBABILITY for one in outcomes)


if __name__ == "__main__":
    main()

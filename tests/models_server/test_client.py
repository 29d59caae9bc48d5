"""The HTTP client against a real server that misbehaves."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from data.errors import ServerFailed, UsageError
from models.server import client as client_module
from models.server.address import KEY_VARIABLE, api_key, checked_url, model_and_url
from models.server.client import Client, Refused
from tests.models_server.fake import FakeServer

BODY = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "red"}]}]}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_DELAY_S", 0.02)


def ask(fake: FakeServer, budget_s: float = 5.0) -> object:
    return Client(fake.url, budget_s=budget_s).post("/embeddings", BODY)


@pytest.mark.parametrize("fault", ["429", "429:0.1", "500", "503", "half", "reset", "text", "json:{"])
def test_a_passing_fault_is_tried_again(fault: str) -> None:
    with FakeServer(faults=[fault, fault]) as fake:
        answer = ask(fake)
        assert answer["data"][0]["embedding"] and fake.counts["/embeddings"] == 3


@pytest.mark.parametrize("fault", ["429", "500:out of memory", "half", "text"])
def test_a_lasting_fault_ends_in_one_sentence(fault: str) -> None:
    with FakeServer(faults=[fault] * 99) as fake, pytest.raises(ServerFailed) as error:
        ask(fake)
    assert fake.counts["/embeddings"] == client_module.ATTEMPTS
    assert fake.url in str(error.value) and "\n" not in str(error.value)


def test_retry_after_is_obeyed_and_counted_against_the_budget() -> None:
    with FakeServer(faults=["429:1"]) as fake:
        started = time.monotonic()
        ask(fake)
        assert 1.0 <= time.monotonic() - started < 2.5
    with FakeServer(faults=["429:3600"]) as fake:
        started = time.monotonic()
        with pytest.raises(ServerFailed):
            ask(fake, budget_s=2)
        assert time.monotonic() - started < 1, "waiting an hour was never an option"


def test_a_server_that_is_away_is_not_waited_for_again() -> None:
    client = Client("http://127.0.0.1:9/v1", budget_s=5)
    with pytest.raises(ServerFailed, match="nothing answers there"):
        client.get("/models")
    started = time.monotonic()
    with pytest.raises(ServerFailed, match="is not there"):
        client.get("/models")
    assert time.monotonic() - started < 0.05


def test_a_hang_is_cut_and_tried_again() -> None:
    with FakeServer(faults=["hang:2"]) as fake:
        started = time.monotonic()
        ask(fake, budget_s=1.5)
        assert 0.7 <= time.monotonic() - started < 1.5
    with FakeServer(faults=["hang:3"] * 5) as fake:
        started = time.monotonic()
        with pytest.raises(ServerFailed, match="no answer came"):
            ask(fake, budget_s=1)
        assert time.monotonic() - started < 1.6


def test_an_answer_that_drips_is_cut() -> None:
    with FakeServer(faults=["drip:5"] * 5) as fake:
        started = time.monotonic()
        with pytest.raises(ServerFailed, match="too slowly"):
            ask(fake, budget_s=1)
        assert time.monotonic() - started < 1.6


def test_far_too_much_is_not_read() -> None:
    with FakeServer(faults=["huge"]) as fake, pytest.raises(ServerFailed, match="more than 16 MB"):
        ask(fake)
    assert fake.counts["/embeddings"] == 1, "what is wrong with the address is not asked again"


def test_a_redirect_is_refused() -> None:
    with FakeServer() as other, FakeServer(faults=[f"redirect:{other.url}/embeddings"]) as fake:
        with pytest.raises(ServerFailed, match="points to another address"):
            ask(fake)
        assert not other.requests


def test_no_server_there() -> None:
    with FakeServer() as fake:
        url = fake.url
    started = time.monotonic()
    with pytest.raises(ServerFailed, match="nothing answers there"):
        Client(url, budget_s=30).post("/embeddings", BODY)
    assert time.monotonic() - started < 5


def test_a_refusal_is_not_asked_again() -> None:
    with FakeServer(faults=["400:too many tokens"]) as fake, pytest.raises(Refused, match="too many tokens") as error:
        ask(fake)
    assert error.value.status == 400 and fake.counts["/embeddings"] == 1


def test_the_key_is_sent_and_never_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(KEY_VARIABLE, "sesame-123")
    with FakeServer(key="sesame-123") as fake:
        assert ask(fake)
    with FakeServer(key="another") as fake, pytest.raises(Refused) as error:
        ask(fake)
    with FakeServer(faults=["400:no such key sesame-123"], key="sesame-123") as fake, pytest.raises(Refused) as quoted:
        ask(fake)
    assert (
        "sesame"
        not in f"{error.value} {quoted.value} {caplog.text} {Client(fake.url)!r} {vars(Client(fake.url)).keys()}"
    )
    monkeypatch.delenv(KEY_VARIABLE)
    with FakeServer(key="another") as fake, pytest.raises(Refused, match=KEY_VARIABLE):
        ask(fake)


def test_a_key_does_not_cross_the_open_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sesame-123")
    for url in ("http://localhost:1/v1", "http://vllm:8000/v1", "http://192.168.1.9/v1", "https://example.org/v1"):
        assert api_key(url) == "sesame-123"
    with pytest.raises(UsageError) as error:
        api_key("http://example.org/v1")
    assert "sesame" not in str(error.value)
    monkeypatch.setenv(KEY_VARIABLE, "a\nb")
    with pytest.raises(UsageError):
        api_key("https://example.org/v1")


def test_addresses() -> None:
    assert checked_url("http://h:8000") == checked_url("http://h:8000/v1/") == "http://h:8000/v1"
    assert model_and_url("a@b", "http://h/v1") == ("a@b", "http://h/v1")
    assert model_and_url("org/m@http://x:1", "http://h/v1") == ("org/m", "http://x:1/v1")
    for bad in ("", "h:8000", "ftp://h/v1", "http://", "http://h/v1?key=1", "http://h:99999/v1"):
        with pytest.raises(UsageError):
            checked_url(bad)
    with pytest.raises(UsageError) as error:
        checked_url("http://me:secret@h/v1")
    assert "secret" not in str(error.value)


def test_no_more_at_once_than_allowed_and_in_order() -> None:
    with FakeServer(delay_s=0.05) as fake:
        client = Client(fake.url, concurrency=4)
        drawn = []

        def items():
            for number in range(20):
                drawn.append(number)
                yield number

        seen_ahead = []

        def work(number: int) -> int:
            seen_ahead.append(len(drawn) - number)
            client.post("/embeddings", BODY)
            return number * number

        assert client.map(work, items()) == [number * number for number in range(20)]
        assert 2 <= fake.most_at_once <= 4 and max(seen_ahead) <= 8, "items are drawn as they are needed"
        threads = [threading.Thread(target=client.map, args=(work, range(6))) for _ in range(3)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        assert fake.most_at_once <= 4, "the bound is the server's, not one caller's"


def test_the_first_error_ends_a_map() -> None:
    with FakeServer(faults=["400:no"]) as fake:
        client = Client(fake.url, concurrency=2)
        with pytest.raises(Refused):
            client.map(lambda _: client.post("/embeddings", BODY), range(100))
        time.sleep(0.2)
        assert fake.counts["/embeddings"] < 20


def test_a_busy_server_is_given_a_rest_by_all() -> None:
    with FakeServer(faults=["429:0.5"]) as fake:
        client = Client(fake.url, concurrency=4)
        client.post("/embeddings", BODY)
        told = time.monotonic()
        assert client._resume_at <= told
        fake.faults.append("429:0.5")
        threading.Thread(target=client.post, args=("/embeddings", BODY), daemon=True).start()
        time.sleep(0.1)
        before = fake.counts["/embeddings"]
        client.post("/embeddings", BODY)
        assert time.monotonic() - told >= 0.4 and before == 3


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
def test_certificates_are_checked(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(ServerFailed, match=r"(?i)certificate"):
            Client(f"https://127.0.0.1:{server.server_address[1]}/v1", budget_s=5).get("/models")
    finally:
        server.shutdown()
        server.server_close()

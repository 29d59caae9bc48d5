"""HTTP to a model server: JSON in, JSON out, retried, bounded in time and size, so many at once and no more.

What a server may do to us: be slow, be busy (429), break down (500), hang, cut its answer, answer with something
else, with far too much, or point elsewhere. Each ends in a retry or in one `ServerFailed`.
"""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from data.errors import MissingExtra, ServerFailed
from models.server.address import KEY_VARIABLE, api_key, is_loopback

T = TypeVar("T")
R = TypeVar("R")

MOST_ANSWER_BYTES = 16 << 20  # an embedding of 4096 numbers is 0.1 MB, a long answer 0.05 MB
ATTEMPTS = 5
FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 8.0
AWAY_S = 10.0  # a server that was not there is not looked for again so soon: a search asks it twice
CONNECT_S = 10.0
# One attempt gets half of the whole budget, so that a server that hangs once is asked once more.
ATTEMPT_SHARE = 0.5
_BUSY = {408, 409, 425, 429, 500, 502, 503, 504, 529}


class Refused(ServerFailed):
    """The server understood and said no. Attributes: status: of HTTP, 400 to 499."""

    def __init__(self, message: str, *, status: int, remedy: str = "") -> None:
        self.status = status
        super().__init__(message, remedy=remedy)


class _Again(Exception):
    """Worth another attempt. after_s: the least time to wait, as the server says. away: nothing listens there."""

    def __init__(self, reason: str, after_s: float | None = None, *, away: bool = False) -> None:
        self.after_s, self.away = after_s, away
        super().__init__(reason)


class Client:
    """One server. Safe to use from many threads; connections are kept and shared.

    Args:
        url: checked base URL, ending in "/v1" or the like.
        budget_s: longest time for one request with all its retries.
        concurrency: most requests in flight, whatever number of threads asks.

    Raises:
        MissingExtra: httpx is not installed. UsageError: the API key may not be sent there.
    """

    def __init__(self, url: str, *, budget_s: float = 180.0, concurrency: int = 16) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtra("A model server", "server") from None
        self.url = url
        self.budget_s = budget_s
        self.concurrency = concurrency
        self._key = api_key(url)
        self._slots = threading.BoundedSemaphore(concurrency)
        self._away_until = 0.0
        self._resume_at = 0.0  # a busy server asks all of us to wait, not only the one it told
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "secondsight"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._http = httpx.Client(
            headers=headers,
            verify=True,
            follow_redirects=False,
            trust_env=not is_loopback(url),  # a proxy is never asked for this machine's own servers
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        )

    def get(self, path: str) -> Any:
        return self._request("GET", path, None, self.budget_s, ATTEMPT_SHARE)

    def post(self, path: str, body: Mapping[str, Any], *, budget_s: float | None = None) -> Any:
        """
        Args:
            path: below the base URL, "/embeddings".
            budget_s: a shorter one, when given; the first attempt may then use it up.

        Raises:
            Refused: the server understood and said no (400 to 499).
            ServerFailed: anything else, after the retries.
        """
        content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        if budget_s is not None and budget_s < self.budget_s:
            return self._request("POST", path, content, budget_s, 1.0)
        return self._request("POST", path, content, self.budget_s, ATTEMPT_SHARE)

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """work(item) of each, in order, up to `concurrency` at once; items are drawn only as they are needed.

        The first error ends it. Threads are daemons: who stops the program does not wait for a server.
        """
        source, drawing, stop = iter(enumerate(items)), threading.Lock(), threading.Event()
        done: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()

        def run() -> None:
            while not stop.is_set():
                place = -1
                try:
                    with drawing:
                        place, item = next(source)
                    done.put((place, work(item), None))
                except StopIteration:
                    return done.put((-1, None, None))
                except BaseException as error:
                    return done.put((place, None, error))

        running = self.concurrency
        for _ in range(running):
            threading.Thread(target=run, daemon=True, name="secondsight-server").start()
        results: dict[int, R] = {}
        try:
            while running:
                place, result, error = done.get()
                if error is not None:
                    raise error
                if place < 0:
                    running -= 1
                else:
                    results[place] = result
        finally:
            stop.set()
        return [results[place] for place in range(len(results))]

    def _request(self, method: str, path: str, content: bytes | None, budget_s: float, share: float) -> Any:
        if time.monotonic() < self._away_until:
            raise ServerFailed(f"The model server at {self.url} is not there.", remedy="Check that it runs.")
        deadline = time.monotonic() + budget_s
        for attempt in range(1, ATTEMPTS + 1):
            wait_s = self._resume_at - time.monotonic()
            if wait_s > 0 and time.monotonic() + wait_s < deadline:
                time.sleep(wait_s * random.uniform(1.0, 1.1))
            try:
                with self._slots:
                    ends = min(deadline, time.monotonic() + budget_s * share)
                    return self._once(method, self.url + path, content, ends)
            except _Again as again:
                # Full jitter (Brooker 2015, "Exponential backoff and jitter"), never sooner than the server says.
                delay_s = random.uniform(0.1, 1) * min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** (attempt - 1))
                delay_s = max(delay_s, again.after_s or 0.0)
                if again.after_s:
                    self._resume_at = max(self._resume_at, time.monotonic() + again.after_s)
                if attempt == ATTEMPTS or time.monotonic() + delay_s >= deadline:
                    self._away_until = time.monotonic() + AWAY_S if again.away else 0.0
                    raise ServerFailed(
                        f"The model server at {self.url} failed {attempt} times, at last because {again}.",
                        remedy="Check that it runs, or give it longer with SECONDSIGHT_SERVER_TIMEOUT_S.",
                    ) from None
                time.sleep(delay_s)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, method: str, url: str, content: bytes | None, deadline: float) -> Any:
        import httpx

        left_s = max(0.05, deadline - time.monotonic())
        timeout = httpx.Timeout(left_s, connect=min(CONNECT_S, left_s))
        headers = {"Content-Type": "application/json"} if content is not None else {}
        try:
            with self._http.stream(method, url, content=content, headers=headers, timeout=timeout) as response:
                body = self._read(response, deadline)
                status, after_s = response.status_code, _retry_after_s(response.headers.get("retry-after"))
        except httpx.ConnectError as error:
            raise _Again(f"nothing answers there ({self._safe(error)})", away=True) from None
        except httpx.TimeoutException:
            raise _Again(f"no answer came within {left_s:.0f} s") from None
        except httpx.TransportError as error:
            raise _Again(f"the connection failed ({self._safe(error) or type(error).__name__})") from None
        if status in _BUSY:
            raise _Again(f"it answered {status} ({self._said(body)})", after_s)
        if status >= 500:
            raise _Again(f"it answered {status}")
        if 300 <= status < 400:
            raise ServerFailed(
                f"The model server at {self.url} points to another address, which is not followed.",
                remedy="Name the final address.",
            )
        if status in (401, 403):
            lacking = "the API key" if self._key else "a request without an API key"
            raise Refused(
                f"The model server at {self.url} refuses {lacking}.", status=status, remedy=f"Set {KEY_VARIABLE}."
            )
        if status >= 400:
            raise Refused(f"The model server at {self.url} refuses: {self._said(body)} ({status}).", status=status)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise _Again("its answer is not JSON") from None

    def _read(self, response: Any, deadline: float) -> bytes:
        """The body as it was sent: compressed answers were not asked for and are not unpacked."""
        chunks, size = [], 0
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > MOST_ANSWER_BYTES:
                raise ServerFailed(
                    f"The model server at {self.url} answered with more than {MOST_ANSWER_BYTES >> 20} MB.",
                    remedy="Check that the address is that of a model server.",
                )
            if time.monotonic() > deadline:
                raise _Again("its answer came too slowly")
            chunks.append(chunk)
        return b"".join(chunks)

    def _said(self, body: bytes) -> str:
        """The reason in an error's body: OpenAI puts it in error.message, older vLLM in message, others in detail."""
        try:
            value = json.loads(body)
            inner = value.get("error", value) if isinstance(value, dict) else value
            if isinstance(inner, dict):
                inner = inner.get("message") or inner.get("detail") or ""
            return self._safe(inner) or "no reason given"
        except (ValueError, RecursionError):
            return self._safe(body[:400].decode("utf-8", "replace")) or "no reason given"

    def _safe(self, text: object) -> str:
        """One short line with no control characters, and without the key, should the server have repeated it."""
        line = str(text).replace(self._key, "***") if self._key else str(text)
        return " ".join("".join(c if c.isprintable() else " " for c in line[:2000]).split())[:200].rstrip(".")


def _retry_after_s(value: str | None) -> float | None:
    """Seconds, or the HTTP date that RFC 9110, 10.2.3 also allows."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None

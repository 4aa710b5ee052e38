"""Asking a server over HTTP, with patience."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from threading import Event
from typing import TypeVar

import requests
from requests.adapters import HTTPAdapter

Answer = TypeVar("Answer")

_LONGEST = 60.0  # seconds between two attempts
_FOR_NOW = (408, 425, 429, 500, 502, 503, 504)  # answers that may be others in a moment
_PASSING = (
    requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError,
)  # fmt: skip


class Stopped(Exception):
    """The work that a request is part of has ended before it."""


@dataclass(frozen=True)
class Connection:
    """How to ask a server, how often, and by how many threads.

    Attributes:
        session: keeps connections open from one file to the next.
        retries: attempts in a row that bring no new byte before giving up.
        pause: seconds before the first of them, doubled with each and a minute at most.
        timeout: seconds without an answer after which an attempt has failed.
        at_once: requests under way at any time.
        stopped: ends all of them, at their next byte or pause.
    """

    session: requests.Session
    retries: int
    pause: float
    timeout: float
    at_once: int
    stopped: Event = field(default_factory=Event)

    def check(self) -> None:
        """Raises `Stopped` if this is to end."""
        if self.stopped.is_set():
            raise Stopped

    def get(self, url: str, **headers: str) -> requests.Response:
        """The answer to one request, its body yet unread; `headers` with ``_`` for ``-``.

        Raises:
            FileNotFoundError: the server has no such file.
            OSError: it refuses.
            requests.ConnectionError: it is busy or away, and might be there in a moment.
        """
        self.check()
        sent = {name.replace("_", "-"): value for name, value in headers.items() if value}
        answer = self.session.get(
            url, stream=True, timeout=self.timeout,
            headers={"Accept-Encoding": "identity", "User-Agent": "mzsane", **sent},
        )  # fmt: skip
        if answer.ok or answer.status_code == 416:  # "no such range" is an answer, see `Transfer`
            return answer
        answer.close()
        status = f"{answer.status_code} {answer.reason}"
        if answer.status_code in _FOR_NOW:
            raise requests.ConnectionError(f"it answered {status}", response=answer)
        if answer.status_code in (404, 410):
            raise FileNotFoundError(
                f"{url}: the server has no such file ({status}); set zoo.mirror to a server that "
                "has it, or put the file in place by hand"
            )
        raise OSError(f"{url}: the server refuses it ({status}); set zoo.mirror to another one")

    def insist(
        self, url: str, attempt: Callable[[], Answer], size: Callable[[], int] = int
    ) -> Answer:
        """Repeat `attempt` until it succeeds; `size` tells how many bytes there are by now.

        Raises:
            ConnectionError: as many attempts as allowed brought nothing.
        """
        failures, best = 0, size()
        while True:
            try:
                return attempt()
            except _PASSING as error:
                failures = 1 if size() > best else failures + 1
                best = max(best, size())
                if failures > self.retries:
                    raise ConnectionError(
                        f"{url}: {failures} attempts brought nothing ({_cause(error)}); check the "
                        "connection or set zoo.mirror to another server; the same command goes on"
                    ) from error
                pause = max(self.pause * 2 ** (failures - 1), _asked(error))
                self.stopped.wait(min(pause, _LONGEST))


@contextmanager
def connected(retries: int, pause: float, timeout: float, at_once: int) -> Iterator[Connection]:
    """A connection with a session of its own, for the arguments see `Connection`."""
    with requests.Session() as session:
        # threads share it: connections are theirs in turn, cookies are not kept
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=at_once))
        yield Connection(session, retries, pause, timeout, at_once)


def _asked(error: requests.RequestException) -> float:
    """Seconds for which a busy server asks to be left alone."""
    asked = error.response.headers.get("Retry-After", "") if error.response is not None else ""
    return float(asked) if asked.isdigit() else 0.0


def _cause(error: BaseException) -> str:
    """The innermost reason in words, such as "Connection refused"."""
    inner = getattr(error.args[0], "reason", None) if error.args else None
    text = str(inner or error)
    return text.rpartition("Errno ")[2].partition("] ")[2].rstrip("')") or text

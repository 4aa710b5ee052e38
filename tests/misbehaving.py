"""A server of files on which everything can go wrong, on request."""

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import unquote


@dataclass
class Misbehaving:
    """Serves bytes by path, and folders as nginx's JSON listings.

    Attributes:
        files: content by path, without the first slash.
        statuses: given instead of an answer, one a request.
        drops: after so many bytes of a body the connection breaks, one an answer.
        always_drop: the same for every answer once `drops` is used up.
        ranges: whether parts of a file are given.
        if_range: whether parts of another version of the file are refused.
        tags: "strong", "weak" or "none".
        slowly: seconds between two parts of 64 kB.
        latency: seconds before each answer.
        seen: path and Range header of each request.
        most: requests that were under way at once.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    drops: list[int] = field(default_factory=list)
    always_drop: int | None = None
    ranges: bool = True
    if_range: bool = True
    tags: str = "strong"
    slowly: float = 0.0
    latency: float = 0.0
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    most: int = 0
    _now: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __enter__(self):
        self.server = _Quiet(("127.0.0.1", 0), type("", (_Handler,), {"zoo": self}))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @contextmanager
    def waiting(self):
        """Counts who waits for an answer."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        yield
        with self._lock:
            self._now -= 1

    def fetched(self, path):
        """The Range headers of all requests for a file."""
        return [wanted for name, wanted in self.seen if name == path]

    def listing(self, folder):
        """What is directly in a folder, as nginx says it; None if there is no such folder."""
        inside = {name.removeprefix(folder) for name in self.files if name.startswith(folder)}
        tops = {name.partition("/")[0]: "/" in name for name in inside}
        entries = [
            {"name": name, "type": "directory" if is_folder else "file"}
            for name, is_folder in sorted(tops.items(), reverse=True)  # any order will do
        ]
        return json.dumps(entries).encode() if entries else None


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that leaves is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer takes 40 ms

    def do_GET(self):
        zoo, path = self.zoo, unquote(self.path.lstrip("/").partition("?")[0])
        zoo.seen.append((path, self.headers["Range"]))
        with zoo.waiting():
            time.sleep(zoo.latency)
        if zoo.statuses:
            return self._answer(zoo.statuses.pop(0), b"", {})
        content = zoo.files.get(path)
        if content is None and (path == "" or path.endswith("/")):
            content = zoo.listing(path)
        if content is None:
            return self._answer(404, b"", {})
        tag = f'"{md5(content).hexdigest()}"'
        tags = {"strong": {"ETag": tag}, "weak": {"ETag": f"W/{tag}"}, "none": {}}[zoo.tags]
        wanted = self.headers["Range"] if zoo.ranges else None
        if wanted and (not zoo.if_range or self.headers["If-Range"] == tag):
            first = int(wanted.removeprefix("bytes=").rstrip("-"))
            if first >= len(content):
                return self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            part = {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
            return self._answer(206, content[first:], tags | part)
        return self._answer(200, content, tags)

    def _answer(self, status, body, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        drop = None
        if body and not self.path.endswith("/"):
            drop = self.zoo.drops.pop(0) if self.zoo.drops else self.zoo.always_drop
        for start in range(0, len(body[:drop]), 1 << 16):
            self.wfile.write(body[:drop][start : start + (1 << 16)])
            time.sleep(self.zoo.slowly)
        if drop is not None and drop < len(body):
            self.close_connection = True

    def log_message(self, *_):
        pass

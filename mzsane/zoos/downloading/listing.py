"""Folders of a server that lists them as JSON.

In nginx that is ``autoindex_format json``: ``[{"name": ..., "type": "file" or "directory"}]``.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from mzsane.zoos.downloading.connection import Connection


@dataclass(frozen=True)
class Server:
    """A server's folders, asked one by one.

    Attributes:
        connection: to the server.
        base: address of the uppermost folder, with a slash at its end.
    """

    connection: Connection
    base: str

    def url(self, path: str) -> str:
        """Address of a file or folder."""
        return f"{self.base}{quote(path, safe='/=')}"

    def json(self, path: str) -> Any:
        """What a file or a folder's listing says.

        Raises:
            ValueError: if it is not JSON.
            OSError: if it cannot be had.
        """
        url = self.url(path)

        def read() -> bytes:
            with self.connection.get(url) as answer:
                return answer.content

        content = self.connection.insist(url, read)
        try:
            return json.loads(content)
        except ValueError as error:
            raise ValueError(
                f"{url}: no JSON ({error}); a server of trials lists folders with nginx's "
                "`autoindex_format json`: set zoo.mirror to one that does"
            ) from error

    def entries(self, folder: str) -> dict[str, str]:
        """Name and type of what is in a folder.

        Raises:
            ValueError: the listing is none, or a name could lead outside.
        """
        url, listing = self.url(folder), self.json(folder)
        try:
            entries = {str(entry["name"]).rstrip("/"): entry["type"] for entry in listing}
        except (TypeError, KeyError) as error:
            raise ValueError(f"{url}: lists no names and types; set zoo.mirror") from error
        for name in entries:
            if name in ("", ".", "..") or "/" in name or "\\" in name:
                raise ValueError(f"{url}: lists {name!r}, which could lead outside the download")
        return entries

    def folders(self, folder: str) -> list[str]:
        """Names of the folders in a folder."""
        found = self.entries(folder).items()
        return sorted(name for name, kind in found if kind == "directory")

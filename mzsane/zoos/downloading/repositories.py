"""Parts of a repository on the Hugging Face hub, brought into a folder of one's own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

from mzsane.files import replacing, taking_turns
from mzsane.progress import Progress, silent
from mzsane.zoos.reading.naming import doubled

COMPLETE = "listing.json"
_UNWANTED = ["*optimizer*", "*scheduler*"]  # what training leaves beside the weights


@dataclass(frozen=True)
class DownloadRepository:
    """Files of a repository, chosen by pattern; a whole one is read by ``read_zoo("owner/name")``.

    Of weights that are there both as safetensors and as pickles only safetensors come.

    The revision is written to ``listing.json`` when all files are there; from then on no
    connection is needed. Remove it to look for a newer one.

    Args:
        folder: where the files go, under their names in the repository.
        repository: ``owner/name``.
        include: patterns of which one fits a file's path.
        revision: branch, tag or commit.
        licence: of the zoo.
        homepage: where it is described.
        mirror: another server with the hub's interface.
    """

    folder: str | Path
    repository: str
    include: Sequence[str] = ("*",)
    revision: str = "main"
    licence: str = ""
    homepage: str = ""
    mirror: str | None = None

    def fetch(self, progress: Progress = silent) -> None:
        """Bring what is missing.

        Raises:
            ValueError: huggingface_hub is missing, or no file fits.
            ConnectionError: the files cannot be had.
        """
        folder = Path(self.folder)
        if self._complete():
            return
        folder.mkdir(parents=True, exist_ok=True)
        waiting = f"waiting for another download of {folder.name}"
        with taking_turns(folder / ".download.lock", lambda: progress(waiting, 0, None)):
            if not self._complete():
                commit = self._bring()
                with replacing(folder / COMPLETE) as partial:
                    partial.write_text(json.dumps({"choice": self._choice(), "commit": commit}))

    def _choice(self) -> dict[str, Any]:
        choice = [self.repository, list(self.include), self.revision]
        return dict(zip(("repository", "include", "revision"), choice, strict=True))

    def _complete(self) -> bool:
        path = Path(self.folder) / COMPLETE
        return path.exists() and json.loads(path.read_text())["choice"] == self._choice()

    def _bring(self) -> str:
        """The commit whose files are there now."""
        try:
            from huggingface_hub import HfApi
            from huggingface_hub.errors import HfHubHTTPError
            from huggingface_hub.utils import filter_repo_objects
        except ImportError as error:
            raise ValueError(
                f"{self.repository} is on the Hugging Face hub; pip install 'mzsane[hub]'"
            ) from error
        hub, include = HfApi(endpoint=self.mirror), list(self.include)
        try:
            # asked first: without a connection, snapshot_download is content with what is there
            info = hub.repo_info(self.repository, revision=self.revision)
            names = [sibling.rfilename for sibling in info.siblings or ()]
            if not list(filter_repo_objects(names, allow_patterns=include)):
                raise ValueError(f"{self.repository}: none of {len(names)} files fits {include}")
            hub.snapshot_download(
                self.repository, revision=info.sha, local_dir=self.folder,
                allow_patterns=include,
                ignore_patterns=[*_UNWANTED, *map(escape, doubled(names))],
            )  # fmt: skip
        # its bases are OSError and the error of whichever HTTP client the hub uses
        except HfHubHTTPError.__bases__ as error:
            raise ConnectionError(
                f"{self.repository}: cannot be had from the Hugging Face hub "
                f"({type(error).__name__}); check its name, your access to it and the connection; "
                "the same command goes on"
            ) from error
        return str(info.sha)

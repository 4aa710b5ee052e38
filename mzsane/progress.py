"""How far long work is, told by a callable and shown as bars."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int | None], None]
"""Called with the stage, how much of it is done, and of how much (None = not known)."""


@contextmanager
def bars() -> Iterator[Progress]:
    """Bars on standard error, one per stage; what follows a colon in a stage's name may change."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as shown:
        tasks = {}

        def tell(stage: str, done: int, total: int | None) -> None:
            name = stage.partition(":")[0]
            if name not in tasks:
                tasks[name] = shown.add_task(stage, total=total)
            shown.update(tasks[name], completed=done, total=total, description=stage)

        yield tell


def silent(stage: str, done: int, total: int | None) -> None:
    """Tells nobody."""

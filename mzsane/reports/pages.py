"""A page of tables for an analysis, and the same tables for the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mzsane.files import replacing
from mzsane.reports.markdown import escaped, facts_table, table

if TYPE_CHECKING:
    import rich.console


class Sheet(NamedTuple):
    """A table as it is read: cells are texts, the first column names its lines.

    Attributes:
        title: what is measured, of what.
        header: a name for each column.
        lines: of cells.
        remarks: what is to be known of it, a sentence each.
    """

    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...] = ()


def write_page(
    path: Path,
    title: str,
    sheets: Sequence[Sheet],
    facts: Mapping[str, object],
    figures: Sequence[str] = (),
) -> None:
    """Write tables as Markdown, whole or not at all.

    Args:
        path: of the page.
        title: its heading.
        sheets: its tables.
        facts: where the numbers come from, by name.
        figures: files beside the page that are shown or, if they are no images, linked.
    """
    shown = [f"{'!' if name.endswith('.png') else ''}[{name}]({name})" for name in figures]
    parts = [
        f"# {title}",
        *shown,
        *map(markdown_sheet, sheets),
        f"## Where the numbers come from\n\n{facts_table(facts)}",
    ]
    with replacing(path) as partial:
        partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def terminal_page(sheets: Sequence[Sheet]) -> "rich.console.Group":
    """The tables for `rich.print`."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text  # names of models are no markup

    drawn: list[Table | Text] = []
    for sheet in sheets:
        if not sheet.lines:
            drawn += [Text(f"{sheet.title}: {remark}") for remark in sheet.remarks]
            continue
        body = Table(title=Text(sheet.title), title_justify="left")
        for number, name in enumerate(sheet.header):
            # folded where the terminal is narrow, because rich would cut words otherwise
            body.add_column(Text(name), justify="right" if number else "left", overflow="fold")
        for cells in sheet.lines:
            body.add_row(*map(Text, cells))
        drawn += [body, *map(Text, sheet.remarks)]
    return Group(*drawn)


def markdown_sheet(sheet: Sheet) -> str:
    """A table below its title, and the remarks below it."""
    parts = [f"## {escaped(sheet.title)}"]
    if sheet.lines:
        parts.append(table(sheet.header, sheet.lines))
    if sheet.remarks:
        parts.append("\n".join(f"- {escaped(remark)}" for remark in sheet.remarks))
    return "\n\n".join(parts)

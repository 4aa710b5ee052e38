"""Tables in Markdown, whatever the names in them contain."""

from collections.abc import Iterable, Mapping, Sequence


def line(cells: Iterable[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def rule(columns: int, names: int = 1) -> str:
    """The line below the header: `names` columns of text, then numbers."""
    return line([":--"] * names + ["--:"] * (columns - names))


def escaped(text: str) -> str:
    """Text that a Markdown table shows as it is."""
    for sign in "\\`*<|[":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def facts_table(facts: Mapping[str, object]) -> str:
    """Names and values, these set as code."""
    lines = [line([escaped(name), _code(f"{value}")]) for name, value in facts.items()]
    return "\n".join([line(("fact", "value")), rule(2, names=2), *lines])


def table(header: Sequence[str], rows: Iterable[Sequence[str]], names: int = 1) -> str:
    """A table of which the first `names` columns are text."""
    lines = [line(map(escaped, cells)) for cells in rows]
    return "\n".join([line(map(escaped, header)), rule(len(header), names), *lines])


def _code(text: str) -> str:
    """Text set as code in a Markdown table, where a bar would end the cell."""
    fence = "``" if "`" in text else "`"
    return fence + " ".join(text.split()).replace("|", "\\|") + fence

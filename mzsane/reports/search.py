"""Tables of what a search found."""

from collections.abc import Sequence

from mzsane.reports.pages import Sheet
from mzsane.reports.tables import Row, grouped

SHOWN = 20  # copies in a page; the CSV has all
SHARES = ("precision", "recall", "neighbours", "parents")  # of a guessed lineage


def search_sheets(
    neighbours: Sequence[Row], copies: Sequence[Row] | None, lineage: Sequence[Row]
) -> list[Sheet]:
    """Neighbours of the query, copies in the zoo, and how good the guess of lineages is.

    Args:
        neighbours: of the query; empty without one.
        copies: pairs; None if they were not searched for.
        lineage: quality of the guess for each kind of network; empty if nothing was guessed.
    """
    return [
        *_neighbours(neighbours),
        *([] if copies is None else [_copies(copies)]),
        *([_lineage(lineage)] if lineage else []),
    ]


def _neighbours(rows: Sequence[Row]) -> list[Sheet]:
    header = ("rank", "distance", "model", "split", "test accuracy")
    return [
        Sheet(
            f"nearest to {own[0]['query']} by {by}",
            header,
            tuple(
                (
                    f"{row['rank']}",
                    f"{row['distance']:.4f}",
                    _name(row),
                    f"{row['split']}",
                    _acc(row),
                )
                for row in own
            ),
        )
        for by, own in grouped(rows, lambda row: str(row["by"])).items()
    ]


def _copies(rows: Sequence[Row]) -> Sheet:
    lines = tuple(
        (f"{row['kind']}", _name(row), _name(row, "other_"), f"{row['distance']:.2e}")
        for row in rows[:SHOWN]
    )
    if not rows:
        return Sheet("copies", (), (), ("none",))
    more = (f"{len(rows)} pairs in all; copies.csv lists them.",)
    return Sheet("copies", ("kind", "model", "other", "relative distance"), lines, more)


def _lineage(rows: Sequence[Row]) -> Sheet:
    header = ("network", *(str(row["architecture"]) for row in rows))
    lines = (
        *((name, *(f"{row[name]}" for row in rows)) for name in ("checkpoints", "models")),
        ("trajectories guessed", *(f"{row['trajectories']}" for row in rows)),
        *((name, *(f"{row[name]:.3f}" for row in rows)) for name in SHARES),
    )
    remarks = (
        "Guessed from weights alone and compared with the zoo's names and epochs; lineage.csv has "
        "the guess for every checkpoint.",
        "precision, recall: of pairs of checkpoints of one training; neighbours: successive "
        "checkpoints that are successive in the guess, in either direction; parents: checkpoints "
        "whose predecessor was found.",
    )
    return Sheet("lineage", header, lines, remarks)


def _name(row: Row, prefix: str = "") -> str:
    return f"{row[f'{prefix}source']}:{row[f'{prefix}model']}@{row[f'{prefix}epoch']}"


def _acc(row: Row) -> str:
    return f"{100 * float(row['test_acc']):.1f}" if "test_acc" in row else ""

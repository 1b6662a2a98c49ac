"""Tables of text for a terminal."""

from collections.abc import Collection, Sequence

import tabulate

tabulate.MIN_PADDING = 0  # a column is as wide as its header, and no wider


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] | None = None) -> str:
    """Columns as wide as they need, two spaces apart; those of the numbers ``left`` flush left, the others flush right.

    Without ``left``, the first and the last one are flush left.
    """
    left = (0, len(header) - 1) if left is None else left
    sides = ["left" if column in left else "right" for column in range(len(header))]
    return tabulate.tabulate(rows, header, tablefmt="plain", colalign=sides, disable_numparse=True)

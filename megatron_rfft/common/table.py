"""Tables of text for a terminal."""

from collections.abc import Collection, Sequence


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] | None = None) -> str:
    """Columns as wide as they need, two spaces apart; those of the numbers ``left`` flush left, the others flush right.

    Without ``left``, the first and the last one are flush left.
    """
    table = [list(header), *map(list, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    left = (0, len(header) - 1) if left is None else left

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join(map(line, table))

"""Tables of text: columns as wide as their widest cell."""

from megatron_rfft.common.table import format_table

ROWS = [["a", "1", "x y"], ["long name", "1,000", ""]]


def test_numbers_stand_under_one_another():
    assert format_table(["what", "n", "note"], ROWS).splitlines() == [
        "what           n  note",
        "a              1  x y",
        "long name  1,000",
    ]


def test_columns_flush_left_are_chosen():
    assert format_table(["what", "n", "note"], ROWS, left=range(3)).splitlines() == [
        "what       n      note",
        "a          1      x y",
        "long name  1,000",
    ]

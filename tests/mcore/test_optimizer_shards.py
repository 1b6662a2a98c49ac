"""Stretches of a tensor as boxes: what the shares of a distributed optimizer are saved as."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.mcore.optimizer_shards import boxes


@st.composite
def stretches(draw) -> tuple[tuple[int, ...], int, int]:
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    bounds = st.integers(0, math.prod(shape))
    start, stop = sorted((draw(bounds), draw(bounds)))
    return shape, start, stop


@given(stretches())
def test_boxes_laid_end_to_end_are_the_stretch(stretch):
    shape, start, stop = stretch
    whole = torch.arange(math.prod(shape)).view(shape)
    found = list(boxes(shape, start, stop))
    slices = [tuple(slice(o, o + n) for o, n in zip(*box, strict=True)) for box in found]
    values = [value for window in slices for value in whole[window].flatten().tolist()]
    assert values == list(range(start, stop))
    assert all(math.prod(sizes) for _, sizes in found)
    assert len(found) <= 2 * len(shape) - 1


def test_whole_rows_are_one_box():
    assert list(boxes((4, 3), 2, 11)) == [((0, 2), (1, 1)), ((1, 0), (2, 3)), ((3, 0), (1, 2))]
    assert list(boxes((4, 3), 3, 9)) == [((1, 0), (2, 3))]
    assert list(boxes((4, 3), 4, 5)) == [((1, 1), (1, 1))]

"""Heat maps: colours by value, tooltips, names that cannot break the page."""

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.pages.heat_map import LEVELS, Scale, heat_map


def cells(svg: str) -> dict[str, int]:
    """Level by tooltip."""
    return {title: int(level) for level, title in re.findall(r'class="h(\d)"[^>]*><title>(.*?)</title>', svg)}


def test_a_cell_has_its_colour_and_its_tooltip():
    values = {(0, 0): 0.0, (0, 1): 0.5, (1, 0): 1.0, (1, 1): math.nan}
    svg = heat_map(["a", "b"], ["1", "2"], values, Scale(0, 1), "label", "length", told=lambda y, x: f" ({y},{x})")
    assert cells(svg) == {
        "a, length 1: 0 (0,0)": 0,
        "a, length 2: 0.5 (0,1)": LEVELS // 2,
        "b, length 1: 1 (1,0)": LEVELS - 1,
    }


def test_numbers_stand_in_the_cells_where_they_are_asked_for():
    values = {(0, 0): 0.25, (0, 1): 1.0}
    svg = heat_map(["a"], ["1", "2"], values, Scale(0, 1, show="{:.0%}".format), "label", "length", numbers=True)
    assert re.findall(r'<text class="(low|high)"[^>]*>(.*?)</text>', svg) == [("low", "25%"), ("high", "100%")]


def test_names_are_escaped_and_long_ones_cut():
    long = "x" * 99
    svg = heat_map(["<b>", long], ['"2'], {(0, 0): 1.0}, Scale(0, 1), 'a "label"', "<unit>")
    assert "<b>" not in svg
    assert "<unit>" not in svg
    assert 'aria-label="a &quot;label&quot;"' in svg
    assert f"<title>{long}</title>" in svg
    assert f">{long}" not in svg.replace(f"<title>{long}</title>", "")


def test_a_map_without_cells_is_drawn():
    assert heat_map([], [], {}, Scale.over([]), "label", "length").startswith("<svg ")


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=20), st.booleans())
def test_colours_rise_with_the_values(values, log):
    scale = Scale.over(values, log)
    levels = [scale.level(value) for value in sorted(values)]
    assert levels == sorted(levels)
    assert set(levels) <= set(range(LEVELS))
    assert scale.level(min(values)) == 0
    assert scale.level(2 * max(values)) == (LEVELS - 1 if max(values) > min(values) else 0)
    assert scale.level(0.0) == 0

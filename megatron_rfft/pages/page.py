"""The frame that every page shares: a template that extends ``base.html`` becomes one self-contained HTML file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from megatron_rfft.pages.heat_map import LEVELS
from megatron_rfft.pages.style import RUN_COLORS


def render_page(template: Path, filters: Mapping[str, Callable[..., Any]] | None = None, **context: Any) -> str:
    """The page: it refers to nothing outside itself, and follows the reader's light or dark scheme.

    ``context`` has at least ``title``, ``subtitle`` and ``runs``, mappings with ``name``, ``index`` (which decides the
    colour), ``about`` and ``note`` for the legend. What is not Markup is escaped.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters or {}
    return environment.get_template(template.name).render(num_colors=len(RUN_COLORS), heat_levels=LEVELS, **context)

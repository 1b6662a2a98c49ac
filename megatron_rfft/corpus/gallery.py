"""The gallery: a page for each task with its rule, a question in several forms, and how long its traces get.

Generated from the registry; a test compares it with what stands in examples/gallery.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from megatron_rfft.common.files import atomic_write
from megatron_rfft.corpus.tokens import estimate_tokens
from megatron_rfft.tasks import FORMS, NEAR_TWINS, STYLE_OF_FORM, NoInstanceError, Task, list_tasks, load_task
from megatron_rfft.tasks.registry import FAMILIES
from megatron_rfft.tasks.task import describe_lengths

CURVE_LENGTHS = (1, 5, 10, 15, 20, 25, 30)
FORMS_SHOWN = ("rule", "rule-blocks", "rule-nl", "scratchpad", "direct")
COMPARED_LENGTHS = (5, 15, 30)
COMMAND = "rfft gallery"
_BARS = "▁▂▃▄▅▆▇█"
_ROLES = {"pretrain": "RF-pretraining", "held-out": "held out", "extra": "extra"}
_SAMPLE_LENGTHS = (3, 4, 2, 5, 6, 8)


def write_gallery(output: Path | str) -> list[Path]:
    """Write the index and a page for each task below ``output``, remove pages of tasks that are gone; the files."""
    output = Path(output)
    files = []
    for name, text in gallery_pages():
        files.append(output / name)
        if not files[-1].is_file() or files[-1].read_text(encoding="utf-8") != text:
            with atomic_write(files[-1]) as handle:
                handle.write(text)
    for stale in set(output.glob("*/*.md")) - set(files):
        stale.unlink()
    return files


def gallery_pages() -> Iterator[tuple[str, str]]:
    """Path below the gallery and text of each page, the index last."""
    curves = {}
    for family in FAMILIES:
        for name in list_tasks(family=family):
            task = load_task(name)
            curves[name] = token_curve(task)
            yield f"{family}/{name}.md", _page(task, curves[name])
    yield "README.md", _index(curves)


def token_curve(task: Task) -> dict[int, int]:
    """Estimated tokens of one trace at each of CURVE_LENGTHS that the task has."""
    lengths = [length for length in CURVE_LENGTHS if length in task.valid_lengths]
    return {length: estimate_tokens(task.example(length, "train", 0).response) for length in lengths}


def sparkline(values: list[int]) -> str:
    """The values as bars of text, the largest one full."""
    return "".join(_BARS[max(0, -(-len(_BARS) * value // max(values)) - 1)] for value in values)


def _index(curves: dict[str, dict[int, int]]) -> str:
    counts = ", ".join(f"{len(list_tasks(role=role))} {title}" for role, title in _ROLES.items())
    lines = [
        "# Gallery of tasks",
        "",
        f"{len(curves)} tasks: {counts}. Each page shows the rule, a question in five prompt forms and the expected "
        "responses. Tokens are those of a trace in the form `rule`, estimated for Qwen2.5's tokenizer.",
        "",
        f"Made by `{COMMAND}`.",
        "",
        *_comparison(),
    ]
    for family in FAMILIES:
        lines += ["", f"## {family}", "", "| task | what | role | lengths | tokens at 5, 15, 30 | curve |"]
        lines.append("|---|---|---|---|---|---|")
        for name in list_tasks(family=family):
            task, curve = load_task(name), curves[name]
            tokens = ", ".join(f"{curve[length]:,}" if length in curve else "-" for length in (5, 15, 30))
            cells = [f"[{name}]({family}/{name}.md)", _summary(task), _ROLES[task.role]]
            cells += [describe_lengths(task.valid_lengths), tokens, sparkline(list(curve.values()))]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _comparison() -> list[str]:
    """How long documents get in each form and style."""
    tasks = [load_task(name) for name in list_tasks(role="held-out")]
    lines = [
        "## Tokens of a document",
        "",
        f"Prompt and response, the mean of one example of each of the {len(tasks)} held-out tasks. The numbers are the "
        "estimate of `corpus/tokens.py` for Qwen2.5's tokenizer, no count by the tokenizer itself.",
        "",
        "| form | style | " + " | ".join(f"length {length}" for length in COMPARED_LENGTHS) + " |",
        "|---|---|" + "---:|" * len(COMPARED_LENGTHS),
    ]
    for form in FORMS:
        means = []
        for length in COMPARED_LENGTHS:
            examples = [task.example(length, "train", 0, form) for task in tasks]
            means.append(sum(estimate_tokens(e.prompt) + estimate_tokens(e.response) for e in examples) / len(tasks))
        style = f"`{STYLE_OF_FORM[form]}`" if form in STYLE_OF_FORM else "no trace"
        lines.append(f"| `{form}` | {style} | " + " | ".join(f"{mean:,.0f}" for mean in means) + " |")
    return lines


def _page(task: Task, curve: dict[int, int]) -> str:
    facts = [f"{_ROLES[task.role]}, version {task.version}", f"lengths {describe_lengths(task.valid_lengths)}"]
    if task.name != task.rule.name:
        facts.append(f"called {task.rule.name} before, as its rule still is")
    if task.name in NEAR_TWINS:
        facts.append(f"a near twin of the held-out task {NEAR_TWINS[task.name]}")
    length = next(length for length in (*_SAMPLE_LENGTHS, *task.valid_lengths) if length in task.valid_lengths)
    parts = [
        f"# {task.name}",
        _summary(task),
        f"{'; '.join(facts)}.",
        f"```python\n{task.rule.source}\n```",
        _curve_table(curve),
        f"## A question of length {length}",
    ]
    parts += [_form(task, length, form) for form in FORMS_SHOWN]
    return "\n\n".join(parts) + "\n"


def _summary(task: Task) -> str:
    """The file's docstring on one line."""
    return " ".join(ast.get_docstring(ast.parse(Path(task.file).read_text(encoding="utf-8"))).split())


def _curve_table(curve: dict[int, int]) -> str:
    rows = (("length", *map(str, curve)), ("---",) * (len(curve) + 1), ("tokens", *(f"{n:,}" for n in curve.values())))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + f"\n\n{sparkline(list(curve.values()))}"


def _form(task: Task, length: int, form: str) -> str:
    for split in ("test", "train"):
        try:
            example = task.example(length, split, 0, form)
            break
        except NoInstanceError:
            continue
    body = f"```text\n{example.prompt}```\n\nResponse:\n\n```text\n{example.response}\n```"
    return f"<details><summary><code>{form}</code></summary>\n\n{body}\n\n</details>"

"""The dataset card of exported corpora: YAML that Hugging Face reads, then what people want to know."""

from collections.abc import Sequence
from typing import Any

from huggingface_hub import DatasetCardData

from megatron_rfft import __version__
from megatron_rfft.tasks import load_task

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


def dataset_card(name: str, manifests: Sequence[dict[str, Any]], fields: str) -> str:
    """The card's text for corpora with these manifests; ``fields`` says what the columns are."""
    total = sum(manifest["counts"]["records"] for manifest in manifests)
    forms: dict[str, list[str]] = {}
    for manifest in manifests:
        forms.setdefault(manifest["config"]["form"], []).append(manifest["config"]["split"])
    header = DatasetCardData(
        pretty_name=name,
        license="apache-2.0",
        language=["en", "code"],
        task_categories=["text-generation"],
        tags=["reasoning", "length-generalization", "rule-following", "synthetic"],
        size_categories=[next((label for limit, label in _SIZES if total < limit), "n>10M")],
        configs=[
            {
                "config_name": form,
                "data_files": [{"split": split, "path": f"{form}/{split}-*.parquet"} for split in splits],
            }
            for form, splits in forms.items()
        ],
    )
    sections = [
        f"# {name}",
        "Questions about algorithmic tasks, each with the rule that solves it (a short Python function) and the "
        "rule-following trace that executes it step by step, after *Meta Rule-Following Fine-Tuning* "
        "([arXiv:2502.11525](https://arxiv.org/abs/2502.11525)). Every value in a trace was executed; nothing was "
        "written or checked by a language model.",
        "## Files\n\n" + "\n".join(map(_corpus_lines, manifests)),
        f"## Fields\n\n{fields}",
        "## Splits\n\n"
        "An instance belongs to train, validation or test by a hash of its arguments, so that no question of one split "
        "occurs in another, whatever the preset.",
        "## Tasks\n\n" + _task_table(manifests),
        f"## Made by\n\n`megatron_rfft` {__version__}, `rfft generate`; the manifests of the corpora hold "
        "settings, counts and checksums, and `rfft verify` proves them.",
    ]
    return f"---\n{header.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n"


def _corpus_lines(manifest: dict[str, Any]) -> str:
    config, counts, tokens = manifest["config"], manifest["counts"], manifest["tokens"]
    about = sum(tokens[key] for key in ("prompt_tokens", "response_tokens"))
    lines = [
        f"- `{config['form']}/{config['split']}`: {counts['records']:,} examples of {len(counts['cells'])} tasks, "
        f"about {about / 1e6:,.1f} million tokens (estimated); up to {config['samples']} of each task and length"
    ]
    if counts["smaller_cells"]:
        cells = sum(map(len, counts["smaller_cells"].values()))
        lines.append(f"  - {cells} combinations of task and length have fewer instances than that, and give all")
    if counts["over_token_budget"]:
        names = ", ".join(f"`{task}`" for task in counts["over_token_budget"])
        lines.append(f"  - left out, over {config['max_tokens']} tokens: {names}")
    if twins := manifest.get("near_twins"):
        names = ", ".join(f"`{twin}` (of `{task}`)" for twin, task in twins.items())
        lines.append(f"  - near twins of held-out tasks, not for models that are scored on these: {names}")
    return "\n".join(lines)


def _task_table(manifests: Sequence[dict[str, Any]]) -> str:
    lengths: dict[str, set[int]] = {}
    for manifest in manifests:
        for task, cells in manifest["counts"]["cells"].items():
            lengths.setdefault(task, set()).update(map(int, cells))
    rows = ["| task | family | lengths |", "|---|---|---|"]
    for name, found in sorted(lengths.items()):
        rows.append(f"| {name} | {load_task(name).family} | {min(found)}-{max(found)} |")
    return "\n".join(rows)

"""General ability in a chain: data that is mixed into training, and tasks that are asked before and after."""

from collections.abc import Iterator
from pathlib import Path

from megatron_rfft.chains.config import BASE, ChainConfig
from megatron_rfft.training.config_reader import as_override

BEFORE = "before"
"""The chain's own model, in the report's table."""


def general_of(config: ChainConfig, stage: str) -> list[str]:
    """Names of the general data sets that are mixed into a training stage: pretrain or adapt."""
    return [name for name, section in config.general.items() if stage in section.stages]


def data_set(run: Path, name: str) -> Path:
    """Prefix of a general data set, when it is tokenized."""
    return run / "data" / "general" / name


def training_data(config: ChainConfig, run: Path, own: Path, stage: str) -> str:
    """The value of data.train: the data set of tasks, and the general ones with their weights."""
    mixed = [
        {"path": str(data_set(run, name)), "weight": config.general[name].weight} for name in general_of(config, stage)
    ]
    return as_override([str(own), *mixed]) if mixed else as_override(str(own))


def tokenize_commands(config: ChainConfig, run: Path, tokenizer: str) -> Iterator[tuple[str, list[str], Path]]:
    """For each general data set: the name of its task, the words that make it, and what they leave last."""
    for name, section in config.general.items():
        words = ["data_prep/tokenize_corpus.py", "--input", str(Path(section.path).absolute()), "--messages"]
        words += ["--task-name", name, "--tokenizer", tokenizer, *section.tokenize]
        output = data_set(run, name)
        yield f"general/{name}", [*words, "--output", str(output)], Path(f"{output}.manifest.json")


def asked_models(config: ChainConfig, as_they_are: list[str], adapted: list[str]) -> list[str]:
    """Names of the models that are asked general tasks: the chain's own first (BASE), then exports by their names."""
    if not config.evaluate_general.tasks:
        return []
    return [*([BASE] if config.model else []), *as_they_are, *(adapted if config.evaluate_general.adapted else [])]


def evaluate_command(config: ChainConfig, run: Path, name: str) -> tuple[list[str], Path]:
    """The words that ask one model, and what they leave last."""
    section, output = config.evaluate_general, run / "general" / name
    model = Path(config.model).absolute() if name == BASE else run / "models" / name
    words = ["tools/evaluate_general.py", "--model", str(model), "--engine", config.evaluate.engine]
    words += ["--tasks", ",".join(section.tasks)]
    if section.include_path:
        words += ["--include-path", str(Path(section.include_path).absolute())]
    if config.evaluate.tensor_parallel > 1:
        words += ["--tensor-parallel", str(config.evaluate.tensor_parallel)]
    return [*words, *section.options, "--output", str(output)], output / "results.json"


def report_words(run: Path, names: list[str]) -> list[str]:
    """What the report is told."""
    return [
        word for name in names for word in ("--general", f"{BEFORE if name == BASE else name}={run / 'general' / name}")
    ]

"""All verbs of ``rfft``, in the order of the pipeline."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One verb."""

    verb: str
    help: str
    elsewhere: str | None = None
    """The module, where it is not the one in this package that is named like the verb."""

    @property
    def module(self) -> str:
        """Has ``main(arguments)``: imported when the verb is used and not before, since torch takes seconds."""
        return self.elsewhere or f"{__package__}.{self.verb.replace('-', '_')}"


GROUPS: dict[str, tuple[Command, ...]] = {
    "tasks and data": (
        Command("check-task", "check a task of your own"),
        Command("gallery", "write a page about each task"),
        Command("generate", "write a corpus: examples of tasks"),
        Command("train-tokenizer", "train a small vocabulary on a corpus"),
        Command("tokenize", "make a data set: Megatron binaries"),
        Command("show", "look inside a data set"),
        Command("verify", "prove a corpus or a data set"),
        Command("export-dataset", "corpora -> Hugging Face data, chats, RL"),
    ),
    "training": (
        Command("plan", "memory, time and layouts of a run"),
        Command("train", "train a model; torchrun starts several processes", elsewhere="megatron_rfft.train"),
    ),
    "models": (Command("convert", "checkpoint <-> Hugging Face, Megatron-Bridge, NeMo"),),
    "evaluation": (
        Command("evaluate", "measure accuracy by task and length"),
        Command("evaluate-general", "ask tasks of lm-eval"),
        Command("export-lm-eval", "write our questions as lm-eval tasks"),
        Command("report", "compare evaluations on one page"),
    ),
    "everything, on this machine or a cluster": (
        Command("doctor", "say what works on this machine"),
        Command("submit", "run a chain file, from rules to a report"),
        Command("watch", "show how a chain goes"),
    ),
}
COMMANDS = {command.verb: command for group in GROUPS.values() for command in group}

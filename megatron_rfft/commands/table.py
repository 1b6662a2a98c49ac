"""All verbs of ``rfft``, in the order of the pipeline."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One verb."""

    verb: str
    help: str
    module: str
    """Has ``main(arguments)``: imported when the verb is used and not before, since torch takes seconds."""


GROUPS: dict[str, tuple[Command, ...]] = {
    "tasks and data": (
        Command("check-task", "check a task of your own", "megatron_rfft.commands.check_task"),
        Command("gallery", "write a page about each task", "megatron_rfft.commands.gallery"),
        Command("generate", "write a corpus: examples of tasks", "megatron_rfft.commands.generate"),
        Command("train-tokenizer", "train a small vocabulary on a corpus", "megatron_rfft.commands.train_tokenizer"),
        Command("tokenize", "make a data set: Megatron binaries", "megatron_rfft.commands.tokenize"),
        Command("show", "look inside a data set", "megatron_rfft.commands.show"),
        Command("verify", "prove a corpus or a data set", "megatron_rfft.commands.verify"),
        Command("export-dataset", "corpora -> Hugging Face data, chats, RL", "megatron_rfft.commands.export_dataset"),
    ),
    "training": (
        Command("plan", "memory, time and layouts of a run", "megatron_rfft.commands.plan"),
        Command("train", "train a model; torchrun starts several processes", "megatron_rfft.train"),
    ),
    "models": (
        Command("convert", "checkpoint <-> Hugging Face folder or .nemo file", "megatron_rfft.commands.convert"),
    ),
    "evaluation": (
        Command("evaluate", "measure accuracy by task and length", "megatron_rfft.commands.evaluate"),
        Command("evaluate-general", "ask tasks of lm-eval", "megatron_rfft.commands.evaluate_general"),
        Command("export-lm-eval", "write our questions as lm-eval tasks", "megatron_rfft.commands.export_lm_eval"),
        Command("report", "compare evaluations on one page", "megatron_rfft.commands.report"),
    ),
    "everything, on this machine or a cluster": (
        Command("doctor", "say what works on this machine", "megatron_rfft.commands.doctor"),
        Command("submit", "run a chain file, from rules to a report", "megatron_rfft.commands.submit"),
        Command("watch", "show how a chain goes", "megatron_rfft.commands.watch"),
    ),
}
COMMANDS = {command.verb: command for group in GROUPS.values() for command in group}

"""Longest Absolute File Path: the longest path to a file. The length is the depth of the folders and files."""

from random import Random

from megatron_rfft.tasks.letters import random_word
from megatron_rfft.tasks.registry import register


def longest_absolute_file_path(lines):
    longest = 0
    indent = ""
    sizes = [0]
    while lines:
        line = lines.pop(0)
        while not line.startswith(indent):
            indent = indent[1:]
            sizes.pop()
        name = line[len(indent) :]
        if "." in name:
            longest = max(longest, sizes[-1] + len(name))
        else:
            indent += "\t"
            sizes.append(sizes[-1] + len(name) + 1)
    return longest


def instance(rng: Random, length: int) -> tuple:
    """A way down to the deepest entry, with some entries beside it, and then a few more anywhere below the top."""
    files = rng.choice([0.2, 0.5, 0.9])  # the share of files among entries that may be either
    lines = []
    for depth in range(length):
        if rng.random() < 0.2:
            lines.append("\t" * depth + random_name(rng, files))
        lines.append("\t" * depth + random_name(rng, 0 if depth < length - 1 else files))
    for _ in range(rng.randint(0, length // 4 + 1)):
        deepest = lines[-1].count("\t") + ("." not in lines[-1])
        lines.append("\t" * rng.randint(0, min(deepest, length - 1)) + random_name(rng, files))
    return (lines,)


def random_name(rng: Random, files: float) -> str:
    return random_word(rng, 4) + (rng.choice([".c", ".py", ".txt", ".html"]) if rng.random() < files else "")


def reference(lines: list[str]) -> int:
    path: list[str] = []
    longest = 0
    for line in lines:
        *tabs, name = line.split("\t")
        path = [*path[: len(tabs)], name]
        longest = max(longest, "." in name and len("/".join(path)))
    return int(longest)


register(
    longest_absolute_file_path,
    source="lc_388",
    role="pretrain",
    valid_lengths=range(1, 41),
    instance=instance,
    reference=reference,
    questions=[
        "Each line names a folder or a file, a tab for each folder that it lies in; what stands deeper lies in the "
        "nearest folder above. Names with a dot are files. How many characters has the longest path to a file, with a "
        "slash between the names? Answer 0 if there is no file. lines = {lines}",
        "This is a tree of folders, one entry a line, indented by tabs. Entries with a dot in the name are files. "
        "Write each file's path as its folders' names and its own, joined by '/': "
        "how long is the longest such path, or 0 without any file? lines = {lines}",
        "How many characters does the longest file path in this listing have, slashes between names included? Tabs "
        "show how deep an entry lies, only files have a dot in their names, and without files the answer is 0. "
        "lines = {lines}",
    ],
)

"""Crawler Log Folder: the folder where the moves end. The length is the number of moves."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def crawler_log_folder(logs):
    path = ["main"]
    while logs:
        log = logs.pop(0)
        if log == "../":
            if len(path) > 1:
                path.pop()
        elif log != "./":
            path.append(log[:-1])
    return path[-1]


def instance(rng: Random, length: int) -> tuple:
    return ([random_log(rng) for _ in range(length)],)


def random_log(rng: Random) -> str:
    folder = f"{rng.choice(ascii_lowercase)}{rng.randrange(10)}/"
    return rng.choices([folder, "../", "./"], weights=[5, 4, 1])[0]


def reference(logs: list[str]) -> str:
    """From the last move to the first: a folder counts unless a later '../' has left it."""
    left = 0
    for log in reversed(logs):
        if log == "../":
            left += 1
        elif log != "./" and left == 0:
            return log.removesuffix("/")
        else:
            left -= log != "./"
    return "main"


register(
    crawler_log_folder,
    source="lc_1598",
    role="held-out",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "You are in the folder main. '../' goes up to the parent folder, but not above main, './' stays, and 'x/' goes "
        "down into the folder x. In which folder are you at the end? logs = {logs}",
        "Someone starts in main, the topmost folder, and follows this log: '../' is one folder up (in main nothing "
        "happens), './' is no move, and a name with a slash enters that folder. "
        "In which folder does it end? logs = {logs}",
        "Starting from main, follow these moves between folders and name the one that you end up in. '../' leaves a "
        "folder unless it is main, './' does nothing, any other move enters the folder of that name. logs = {logs}",
    ],
)

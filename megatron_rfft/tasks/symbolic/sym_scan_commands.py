"""SCAN commands: spell out the actions of a robot. The length is the number of commands."""

from random import Random

from megatron_rfft.tasks.registry import register

CODE = "A left turn is written L, a right turn R, and walk, jump, dance, sing are written W, J, D, S. "


def sym_scan_commands(commands):
    codes = {"walk": "W", "jump": "J", "dance": "D", "sing": "S", "left": "L", "right": "R", "ahead": ""}
    actions = ""
    while commands:
        verb, direction, times = commands.pop(0)
        while times:
            actions += codes[direction] + codes[verb]
            times -= 1
    return actions


def instance(rng: Random, length: int) -> tuple:
    return ([random_command(rng) for _ in range(length)],)


def random_command(rng: Random) -> list:
    return [rng.choice(["walk", "jump", "dance", "sing"]), rng.choice(["left", "right", "ahead"]), rng.randint(1, 3)]


def reference(commands: list[list]) -> str:
    turns = {"left": "L", "right": "R", "ahead": ""}
    return "".join((turns[direction] + verb[0].upper()) * times for verb, direction, times in commands)


register(
    sym_scan_commands,
    source="sym_scan_commands",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        CODE + "['jump', 'left', 2] means: turn left and jump, twice over, so LJLJ; 'ahead' needs no turn. "
        "Write the actions for all commands in one string. commands = {commands}",
        "A robot carries out commands of an action, a direction and a number: so often it turns in the direction "
        "(not at all for 'ahead'), each time followed by the action. " + CODE + "What does it do, written without "
        "spaces? commands = {commands}",
        "Translate each command into letters and join them. " + CODE + "The turn, if any, comes before the action, and "
        "both are repeated by the number. commands = {commands}",
    ],
)

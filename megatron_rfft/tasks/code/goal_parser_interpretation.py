"""Goal Parser: what does a command of G, () and (al) say? The length is the number of these parts."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_1678(command):
    result = ""
    while command:
        if command[0] == "G":
            result += "G"
            command = command[1:]
        elif command[1] == ")":
            result += "o"
            command = command[2:]
        else:
            result += "al"
            command = command[4:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return ("".join(rng.choice(["G", "()", "(al)"]) for _ in range(length)),)


def reference(command: str) -> str:
    return command.replace("()", "o").replace("(", "").replace(")", "")


register(
    lc_1678,
    source="lc_1678",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "G means G, () means o, and (al) means al. What does this command say? command = '{command}'",
        "Translate the command: every () becomes o, every (al) becomes al, and G stays. command = '{command}'",
        "A robot reads G as 'G', empty brackets as 'o' and (al) as 'al', and says it all without spaces. What does it "
        "say? command = '{command}'",
    ],
)

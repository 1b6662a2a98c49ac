"""Binary alternation: how many swaps make a string of bits alternate? The length is the number of bits."""

from random import Random

from megatron_rfft.tasks.registry import register


def sym_binary_alternation(bits):
    surplus = 0
    wrong = 0
    right = 0
    expected = "0"
    while bits:
        if bits[0] == expected:
            right += 1
        else:
            wrong += 1
        if bits[0] == "0":
            surplus += 1
        else:
            surplus -= 1
        if expected == "0":
            expected = "1"
        else:
            expected = "0"
        bits = bits[1:]
    if surplus == 0:
        return min(wrong, right) // 2
    if surplus == 1:
        return wrong // 2
    if surplus == -1:
        return right // 2
    return -1


def instance(rng: Random, length: int) -> tuple:
    """Mostly as many zeros as ones, or one more of either; sometimes any number, which seldom can be put right."""
    num_zeros = rng.choice([length // 2, (length + 1) // 2])
    if rng.random() < 0.2:
        num_zeros = rng.randint(0, length)
    return ("".join(rng.sample("0" * num_zeros + "1" * (length - num_zeros), length)),)


def reference(bits: str) -> int:
    """Compare with both alternating strings, as far as they have the same bits: a swap fixes two places."""
    goals = [(start * len(bits))[: len(bits)] for start in ("01", "10")]
    return min(
        (sum(a != b for a, b in zip(bits, goal, strict=True)) // 2 for goal in goals if sorted(goal) == sorted(bits)),
        default=-1,
    )


register(
    sym_binary_alternation,
    source="sym_binary_alternation",
    role="extra",
    valid_lengths=range(2, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A swap exchanges any two bits of the string. How many swaps does it take at least until no two equal bits "
        "are neighbours? Answer -1 if that cannot be reached. bits = '{bits}'",
        "What is the smallest number of exchanges of two bits, neighbours or not, that turns this string into an "
        "alternating one such as 0101 or 1010, or -1 if there is no way? bits = '{bits}'",
        "You may let two bits of the string change places, as often as needed. Zeros and ones are to take turns in "
        "the end. What is the least number of changes, -1 standing for 'impossible'? bits = '{bits}'",
    ],
)

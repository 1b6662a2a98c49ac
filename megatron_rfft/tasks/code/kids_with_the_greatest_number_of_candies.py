"""Kids With the Greatest Number of Candies: who could have the most? The length is the number of kids."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_1431(candies, extra):
    most = 0
    rest = candies.copy()
    while rest:
        most = max(most, rest.pop(0))
    result = []
    while candies:
        number = candies.pop(0)
        result.append(number + extra >= most)
    return result


def instance(rng: Random, length: int) -> tuple:
    largest = rng.randint(10, 60)
    return [rng.randint(1, largest) for _ in range(length)], rng.randint(1, largest)


def reference(candies: list[int], extra: int) -> list[bool]:
    return [all(number + extra >= other for other in candies) for number in candies]


register(
    lc_1431,
    source="lc_1431",
    role="extra",
    version=2,
    valid_lengths=range(1, 46),
    instance=instance,
    reference=reference,
    questions=[
        "Each kid has so many candies. If one kid got {extra} more, would no other have more than that kid? Answer "
        "for each kid by itself, with a list of True and False. candies = {candies}",
        "For each number of the list: is it, increased by {extra}, at least as large as the largest number? Give a "
        "list of True and False. candies = {candies}",
        "The number of extra candies, all for one kid, is {extra}. Which of the kids would then have the most, a "
        "tie being enough? List True or False for every kid in turn. candies = {candies}",
    ],
)

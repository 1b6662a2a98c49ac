"""Majority Element: the number that fills more than half of a list. The length is the length of the list."""

from collections import Counter
from random import Random

from megatron_rfft.tasks.registry import register


def lc_169(nums):
    candidate = 0
    lead = 0
    while nums:
        num = nums.pop(0)
        if lead == 0:
            candidate = num
        if num == candidate:
            lead += 1
        else:
            lead -= 1
    return candidate


def instance(rng: Random, length: int) -> tuple:
    """Just more than half of one number, and most often a second one that is frequent, too."""
    majority, *others = rng.sample(range(1, 21), rng.randint(2, 4))
    count = min(length, length // 2 + rng.randint(1, 2))
    nums = [majority] * count + rng.choices(others, k=length - count)
    rng.shuffle(nums)
    return (nums,)


def reference(nums: list[int]) -> int:
    return Counter(nums).most_common(1)[0][0]


register(
    lc_169,
    source="lc_169",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "One number makes up more than half of this list. Which one? nums = {nums}",
        "Which number occurs more often than all others together? nums = {nums}",
        "The list holds the votes of an election that one candidate has won with an absolute majority. "
        "What is the winner's number? nums = {nums}",
    ],
)

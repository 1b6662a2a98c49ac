"""Running Sum: the sums from the start to each number. The length is the length of the list."""

from itertools import accumulate
from random import Random

from megatron_rfft.tasks.registry import register


def lc_1480(nums):
    sums = []
    total = 0
    while nums:
        total += nums.pop(0)
        sums.append(total)
    return sums


def instance(rng: Random, length: int) -> tuple:
    return ([rng.randint(-20, 40) for _ in range(length)],)


def reference(nums: list[int]) -> list[int]:
    return list(accumulate(nums))


register(
    lc_1480,
    source="lc_1480",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "For each number, give the sum of it and all numbers before it, in a list. nums = {nums}",
        "What are the running sums of this list, the first one being its first number? nums = {nums}",
        "Replace every number by the total so far, itself included. Which list results? nums = {nums}",
    ],
)

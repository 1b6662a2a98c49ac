"""Greatest common divisor of a list. The length is the number of integers."""

from math import gcd
from random import Random

from megatron_rfft.tasks.registry import register


def number_gcd_chain(nums):
    result = nums.pop(0)
    while nums:
        num = nums.pop(0)
        while num:
            result, num = num, result % num
    return result


def instance(rng: Random, length: int) -> tuple:
    common = rng.randint(1, 60)
    return ([common * rng.randint(1, 30) for _ in range(length)],)


def reference(nums: list[int]) -> int:
    return gcd(*nums)


register(
    number_gcd_chain,
    source="number_gcd_chain",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is the greatest common divisor of these numbers? nums = {nums}",
        "Find the largest integer that divides every number of the list. nums = {nums}",
        "Pieces of these lengths are to be cut into equal parts with nothing left over. "
        "What is the greatest whole length that the parts can have? nums = {nums}",
    ],
)

"""Sign of the Product: 1, -1 or 0, without multiplying. The length is the length of the list."""

from math import prod
from random import Random

from megatron_rfft.tasks.registry import register


def lc_1822(nums):
    sign = 1
    while nums:
        num = nums.pop(0)
        if num == 0:
            return 0
        if num < 0:
            sign = -sign
    return sign


def instance(rng: Random, length: int) -> tuple:
    """One list in four has a zero, or some."""
    nums = [rng.choice([-1, 1]) * rng.randint(1, 99) for _ in range(length)]
    if rng.random() < 0.25:
        nums[rng.randrange(length)] = 0
    return (nums,)


def reference(nums: list[int]) -> int:
    product = prod(nums)
    return (product > 0) - (product < 0)


register(
    lc_1822,
    source="lc_1822",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Is the product of these numbers positive, negative or zero? Answer 1, -1 or 0. nums = {nums}",
        "What is the sign of the product of the list: 1 for more than 0, -1 for less than 0, 0 for 0? nums = {nums}",
        "Multiply the signs of all numbers, a positive one counting 1, a negative one -1, zero 0. What comes out? "
        "nums = {nums}",
    ],
)

"""Single Number: which number has no partner? The length is the number of different numbers, all but one in pairs."""

from functools import reduce
from operator import xor
from random import Random

from megatron_rfft.tasks.registry import register


def lc_136(nums):
    single = []
    while nums:
        num = nums.pop(0)
        if num in single:
            single.remove(num)
        else:
            single.append(num)
    return single[0]


def instance(rng: Random, length: int) -> tuple:
    alone, *others = rng.sample(range(1, 100), length)
    nums = [alone, *others, *others]
    rng.shuffle(nums)
    return (nums,)


def reference(nums: list[int]) -> int:
    return reduce(xor, nums)


register(
    lc_136,
    source="lc_136",
    role="extra",
    valid_lengths=range(1, 36),
    instance=instance,
    reference=reference,
    questions=[
        "All numbers of this list occur twice, except one. Which one occurs only once? nums = {nums}",
        "Put equal numbers into pairs. Which number is left over? nums = {nums}",
        "Every number here has a twin somewhere in the list, but for a single one. Find that one. nums = {nums}",
    ],
)

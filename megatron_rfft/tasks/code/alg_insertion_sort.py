"""Insertion sort: numbers in ascending order. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def alg_insertion_sort(nums):
    result = []
    while nums:
        num = nums.pop(0)
        i = len(result)
        while i and result[i - 1] > num:
            i -= 1
        result.insert(i, num)
    return result


def instance(rng: Random, length: int) -> tuple:
    """Roughly ascending: a number passes a few others only, so that traces grow with the length, not its square."""
    lowest = rng.randint(0, 50)
    return ([lowest + 3 * i + rng.randint(0, 20) for i in range(length)],)


def reference(nums: list[int]) -> list[int]:
    return sorted(nums)


register(
    alg_insertion_sort,
    source="alg_insertion_sort",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Sort the numbers in ascending order. nums = {nums}",
        "Put these numbers in order, the smallest first; equal ones all stay in the list. nums = {nums}",
        "What does the list look like when its numbers are arranged from least to greatest? nums = {nums}",
    ],
)

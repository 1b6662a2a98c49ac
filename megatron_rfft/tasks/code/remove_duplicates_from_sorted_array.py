"""Remove Duplicates from Sorted Array: each number once. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_26(nums):
    result = []
    while nums:
        num = nums.pop(0)
        if result == [] or num != result[-1]:
            result.append(num)
    return result


def instance(rng: Random, length: int) -> tuple:
    """An ascending list; how often a number is repeated differs from list to list."""
    repeating = rng.uniform(0.2, 0.7)
    nums = [rng.randint(0, 30)]
    while len(nums) < length:
        nums.append(nums[-1] + (0 if rng.random() < repeating else rng.randint(1, 4)))
    return (nums,)


def reference(nums: list[int]) -> list[int]:
    return sorted(set(nums))


register(
    lc_26,
    source="lc_26",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "This list is in ascending order. Keep one of each group of equal numbers. What is left? nums = {nums}",
        "The list is sorted. Leave out every number that equals the one before it. How does the list read then? nums "
        "= {nums}",
        "Which different numbers occur in this ascending list? Name each once, in the same order. nums = {nums}",
    ],
)

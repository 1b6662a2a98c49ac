"""Maximum Difference Between Increasing Elements: the largest rise. The length is the length of the list."""

from itertools import combinations
from random import Random

from megatron_rfft.tasks.registry import register


def maximum_difference_between_increasing_elements(nums):
    best = -1
    low = nums.pop(0)
    while nums:
        num = nums.pop(0)
        if num > low:
            best = max(best, num - low)
        else:
            low = num
    return best


def instance(rng: Random, length: int) -> tuple:
    """A list that nowhere rises, one time in five; else such a list shaken, as much as drawn, until it rises."""
    rises = rng.random() < 0.8
    shake = rng.randint(1, 99)
    while True:
        nums = sorted((rng.randint(1, 99) for _ in range(length)), reverse=True)
        if not rises:
            return (nums,)
        nums = [num + rng.randint(0, shake) for num in nums]
        if nums != sorted(nums, reverse=True):
            return (nums,)


def reference(nums: list[int]) -> int:
    return max((later - earlier for earlier, later in combinations(nums, 2) if earlier < later), default=-1)


register(
    maximum_difference_between_increasing_elements,
    source="lc_2016",
    role="pretrain",
    valid_lengths=range(2, 61),  # a difference needs two numbers
    instance=instance,
    reference=reference,
    questions=[
        "By how much does a number of the list exceed a smaller one before it, at the most? "
        "Answer -1 if no number is greater than one before it. nums = {nums}",
        "What is the largest difference between a number and any number earlier in the list that is smaller than it? "
        "If there is no such pair, the answer is -1. nums = {nums}",
        "These are readings in the order they were taken. What is the greatest rise from one reading to a later, "
        "higher one? Say -1 if none is higher than an earlier one. nums = {nums}",
    ],
)

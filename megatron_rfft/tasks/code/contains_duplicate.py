"""Contains Duplicate: does any number occur twice? The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_217(nums):
    seen = []
    while nums:
        num = nums.pop(0)
        if num in seen:
            return True
        seen.append(num)
    return False


def instance(rng: Random, length: int) -> tuple:
    nums = rng.sample(range(1, 200), length)
    if rng.random() < 0.5:
        place, other = rng.sample(range(length), 2)
        nums[place] = nums[other]
    return (nums,)


def reference(nums: list[int]) -> bool:
    return len(set(nums)) < len(nums)


register(
    lc_217,
    source="lc_217",
    role="extra",
    valid_lengths=range(2, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Does any number occur more than once in this list? nums = {nums}",
        "Are there two equal numbers anywhere in the list? nums = {nums}",
        "Reading the list from the left, do you ever meet a number again that you have seen before? nums = {nums}",
    ],
)

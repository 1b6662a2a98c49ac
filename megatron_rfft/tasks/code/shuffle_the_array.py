"""Shuffle the Array: the two halves of a list in turn. The length is half the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_1470(nums):
    half = len(nums) // 2
    first = nums[:half]
    second = nums[half:]
    result = []
    while first:
        result.append(first.pop(0))
        result.append(second.pop(0))
    return result


def instance(rng: Random, length: int) -> tuple:
    return ([rng.randint(1, 99) for _ in range(2 * length)],)


def reference(nums: list[int]) -> list[int]:
    return [nums[place // 2 + (len(nums) // 2 if place % 2 else 0)] for place in range(len(nums))]


register(
    lc_1470,
    source="lc_1470",
    role="extra",
    valid_lengths=range(1, 41),
    instance=instance,
    reference=reference,
    questions=[
        "Split the list in the middle and take numbers from both halves in turn, beginning with the first half. Which "
        "list do you get? nums = {nums}",
        "Like a deck of cards, this list is cut into two equal halves that are then interleaved: one number of the "
        "first half, one of the second, and so on. Give the result. nums = {nums}",
        "Write the first number of each half, then the second number of each half, and so on to the end. What is the "
        "list? nums = {nums}",
    ],
)

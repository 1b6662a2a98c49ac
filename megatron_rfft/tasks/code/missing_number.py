"""Missing Number: which of the numbers from 0 to n is not in the list? The length is n + 1."""

from random import Random

from megatron_rfft.tasks.registry import register


def missing_number(nums):
    missing = len(nums) * (len(nums) + 1) // 2
    while nums:
        num = nums.pop(0)
        missing -= num
    return missing


def instance(rng: Random, length: int) -> tuple:
    return (rng.sample(range(length), length - 1),)


def reference(nums: list[int]) -> int:
    return next(num for num in range(len(nums) + 1) if num not in nums)


register(
    missing_number,
    source="lc_268",
    role="pretrain",
    valid_lengths=range(3, 61),  # below, a split would be left without an instance
    instance=instance,
    reference=reference,
    questions=[
        "This list of n different numbers has all the numbers from 0 to n but one. Which one is missing? nums = {nums}",
        "Take the whole numbers from 0 up to the length of the list, that one included. "
        "Exactly one of them is not in the list: which? nums = {nums}",
        "Which number is lacking, if 0, 1, 2 and so on up to the length of this list should all be there? "
        "nums = {nums}",
    ],
)

"""Find Pivot Index: where do both sides sum to the same? The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_724(nums):
    rest = nums.copy()
    right = 0
    while rest:
        right += rest.pop(0)
    left = 0
    index = 0
    while nums:
        num = nums.pop(0)
        right -= num
        if left == right:
            return index
        left += num
        index += 1
    return -1


def instance(rng: Random, length: int) -> tuple:
    largest = min(length + 1, 9)
    nums = [rng.randint(-largest, largest) for _ in range(length)]
    if rng.random() < 0.7 and length > 1:
        pivot = rng.randrange(length)
        other = rng.choice([i for i in range(length) if i != pivot])
        excess = sum(nums[:pivot]) - sum(nums[pivot + 1 :])
        nums[other] += -excess if other < pivot else excess
    return (nums,)


def reference(nums: list[int]) -> int:
    pivots = [i for i, num in enumerate(nums) if 2 * sum(nums[:i]) + num == sum(nums)]
    return min(pivots, default=-1)


register(
    lc_724,
    source="lc_724",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "At which index, counted from 0, is the sum of all numbers before it equal to the sum of all numbers behind "
        "it? An empty side sums to 0. Give the first such index, or -1 if none is. nums = {nums}",
        "Find the leftmost place, the first one being 0, that has equal sums on its left and its right, neither of "
        "them including the number itself (an empty side counts 0). Answer -1 if no place has. nums = {nums}",
        "On which index, starting with 0, does this list balance, so that what is before and what is behind the "
        "number there add up to the same? An empty side adds up to 0. Take the smallest index; "
        "if it balances nowhere, the answer is -1. nums = {nums}",
    ],
)

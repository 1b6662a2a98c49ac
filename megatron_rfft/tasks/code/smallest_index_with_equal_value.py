"""Smallest Index With Equal Value: where does the last digit of an index stand? The length is the list's."""

from random import Random

from megatron_rfft.tasks.registry import register


def smallest_index_with_equal_value(nums):
    i = 0
    while nums:
        num = nums.pop(0)
        if i % 10 == num:
            return i
        i += 1
    return -1


def instance(rng: Random, length: int) -> tuple:
    """Every index is equally likely, and one list in four has none."""
    first = rng.randrange(length) if rng.random() < 0.75 else length
    nums = [(i + rng.randint(1, 9)) % 10 for i in range(first)]  # none of these equals i % 10
    if first < length:
        nums.append(first % 10)
    return (nums + [rng.randint(0, 9) for _ in range(length - len(nums))],)


def reference(nums: list[int]) -> int:
    return min((i for i, num in enumerate(nums) if str(i)[-1] == str(num)), default=-1)


register(
    smallest_index_with_equal_value,
    source="lc_2057",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Counting places from 0, find the first place i at which the list holds i % 10. "
        "Answer with i, or with -1 if there is no such place. nums = {nums}",
        "What is the smallest index, starting at 0, whose last digit equals the number at that index? "
        "If there is none, the answer is -1. nums = {nums}",
        "Number the items 0, 1, 2, ... and give the number of the first item that equals the remainder of its own "
        "number divided by 10; give -1 if no item does. nums = {nums}",
    ],
)

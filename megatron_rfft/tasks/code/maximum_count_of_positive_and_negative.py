"""Maximum Count of Positive and Negative: which are more, and how many? The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def maximum_count_of_positive_and_negative(nums):
    positive = 0
    negative = 0
    while nums:
        num = nums.pop(0)
        if num > 0:
            positive += 1
        elif num < 0:
            negative += 1
    return max(positive, negative)


def instance(rng: Random, length: int) -> tuple:
    """A sorted list, as the problem has it."""
    num_zeroes = rng.randint(0, length // 2)
    num_negative = rng.randint(0, length - num_zeroes)
    others = [rng.randint(1, 99) * (-1 if i < num_negative else 1) for i in range(length - num_zeroes)]
    return (sorted(others + [0] * num_zeroes),)


def reference(nums: list[int]) -> int:
    signs = [(num > 0) - (num < 0) for num in nums]
    return max(signs.count(1), signs.count(-1))


register(
    maximum_count_of_positive_and_negative,
    source="lc_2529",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Count the positive numbers and the negative numbers in the list; zeroes are neither. "
        "What is the larger of the two counts? nums = {nums}",
        "How many numbers above zero and how many below zero are there? "
        "Answer with the greater count, or with either if they are equal. nums = {nums}",
        "Zeroes left aside, are there more positive or more negative numbers here? "
        "Give only how many there are of the kind that is not rarer. nums = {nums}",
    ],
)

"""Summary Ranges: a sorted list as ranges of consecutive numbers. The length is the length of the list."""

from itertools import groupby
from random import Random

from megatron_rfft.tasks.registry import register


def summary_ranges(nums):
    ranges = []
    while nums:
        start = nums.pop(0)
        end = start
        while nums and nums[0] == end + 1:
            end = nums.pop(0)
        if start == end:
            ranges.append(str(start))
        else:
            ranges.append(str(start) + "->" + str(end))
    return ranges


def instance(rng: Random, length: int) -> tuple:
    joined = rng.uniform(0.2, 0.85)
    nums = [rng.randint(-99, 99)]
    while len(nums) < length:
        nums.append(nums[-1] + (1 if rng.random() < joined else rng.randint(2, 9)))
    return (nums,)


def reference(nums: list[int]) -> list[str]:
    groups = [[num for _, num in group] for _, group in groupby(enumerate(nums), lambda pair: pair[1] - pair[0])]
    return [f"{group[0]}->{group[-1]}" if group[1:] else str(group[0]) for group in groups]


register(
    summary_ranges,
    source="lc_228",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Sum up this sorted list by as few ranges as possible: 'a->b' for all whole numbers from a to b, 'a' for a "
        "number on its own. Give the list of strings. nums = {nums}",
        "Write each longest run of consecutive numbers as a string, 'first->last', or just the number if the run has "
        "only one. What is the list of these strings? nums = {nums}",
        "Which ranges cover exactly these numbers? Give strings in rising order, like '3->6' for 3, 4, 5, 6 and '9' "
        "for a single 9, and join neighbouring numbers wherever you can. nums = {nums}",
    ],
)

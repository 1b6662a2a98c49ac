"""Count Hills and Valleys: the peaks and troughs of a list, flat ones too. The length is the length of the list."""

from itertools import groupby, pairwise
from random import Random

from megatron_rfft.tasks.registry import register


def count_hills_and_valleys(nums):
    hills = 0
    valleys = 0
    left = nums.pop(0)
    while len(nums) > 1:
        num = nums.pop(0)
        right = nums[0]
        if num != right:
            if num > left and num > right:
                hills += 1
            elif num < left and num < right:
                valleys += 1
            left = num
    return hills + valleys


def instance(rng: Random, length: int) -> tuple:
    """A walk that turns as often as drawn: the answer may be anything from 0 to the length minus 2."""
    turning = rng.random()
    direction = rng.choice([-1, 1])
    nums = [0]
    while len(nums) < length:
        step = rng.choice([0, 1, 2, 5])
        nums.append(nums[-1] + direction * step)
        if step and rng.random() < turning:
            direction = -direction
    lift = rng.randint(1, 20) - min(nums)
    return ([num + lift for num in nums],)


def reference(nums: list[int]) -> int:
    levels = [num for num, _ in groupby(nums)]
    rises = [after > before for before, after in pairwise(levels)]
    return sum(before != after for before, after in pairwise(rises))


register(
    count_hills_and_valleys,
    source="lc_2210",
    role="pretrain",
    valid_lengths=range(3, 61),  # two numbers have no hill or valley
    instance=instance,
    reference=reference,
    questions=[
        "A stretch of equal numbers (or a single number) is a hill if the numbers next to it on both sides are "
        "smaller, and a valley if both are larger; at the ends of the list there is neither. "
        "How many hills and valleys are there together? nums = {nums}",
        "These are the heights along a path. Count the hills and the valleys: places, flat ones counted once, "
        "that lie higher or lower than what comes before and after; the two ends do not count. nums = {nums}",
        "Walking through this list, how many times does going up change to going down or the other way round? "
        "Equal neighbours are level ground and change nothing. nums = {nums}",
    ],
)

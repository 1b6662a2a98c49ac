"""Maximum Subarray: the largest sum of neighbouring numbers. The length is the length of the list."""

from itertools import accumulate
from random import Random

from megatron_rfft.tasks.registry import register


def lc_53(nums):
    best = nums.pop(0)
    current = best
    while nums:
        num = nums.pop(0)
        current = max(current + num, num)
        best = max(best, current)
    return best


def instance(rng: Random, length: int) -> tuple:
    lowest = rng.choice([-20, -15, -10])
    return ([rng.randint(lowest, 10) for _ in range(length)],)


def reference(nums: list[int]) -> int:
    """The largest difference between two sums from the start, the later minus the earlier one."""
    sums = [0, *accumulate(nums)]
    return max(end - min(sums[:i]) for i, end in enumerate(sums) if i)


register(
    lc_53,
    source="lc_53",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Which is the largest sum that one or more neighbouring numbers of this list can have? nums = {nums}",
        "Choose a stretch of the list, at least one number long and without gaps, whose sum is as large as possible. "
        "What is this sum? nums = {nums}",
        "You may cut off any numbers at both ends of the list, but have to leave one. "
        "How large can the sum of the rest become? nums = {nums}",
    ],
)

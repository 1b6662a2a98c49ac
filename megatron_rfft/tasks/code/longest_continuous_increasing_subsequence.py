"""Longest Continuous Increasing Subsequence: the longest strictly increasing run. The length is the list's length."""

from itertools import pairwise
from random import Random

from megatron_rfft.tasks.registry import register


def longest_continuous_increasing_subsequence(nums):
    longest = 0
    run = 0
    previous = nums[0]
    while nums:
        num = nums.pop(0)
        if num > previous:
            run += 1
        else:
            run = 1
        longest = max(longest, run)
        previous = num
    return longest


def instance(rng: Random, length: int) -> tuple:
    rising = rng.uniform(0.2, 0.95)  # some lists fall most of the time, others hardly ever
    nums = [rng.randint(1, 99)]
    while len(nums) < length:
        step = rng.randint(1, 9) if rng.random() < rising else -rng.randint(0, 20)
        nums.append(nums[-1] + step)
    return (nums,)


def reference(nums: list[int]) -> int:
    starts = [i for i in range(1, len(nums)) if nums[i] <= nums[i - 1]]
    return max(end - start for start, end in pairwise([0, *starts, len(nums)]))


register(
    longest_continuous_increasing_subsequence,
    source="lc_674",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many numbers does the longest stretch of neighbours have in which each number is larger than the one "
        "before? nums = {nums}",
        "Equal neighbours break a run, and so does a fall. "
        "How long is the longest run of rising numbers in this list? nums = {nums}",
        "What is the length of the longest strictly increasing contiguous part of the list? nums = {nums}",
    ],
)

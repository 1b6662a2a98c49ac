"""Max Consecutive Ones: the longest run of ones. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def max_consecutive_ones(nums):
    longest = 0
    run = 0
    while nums:
        num = nums.pop(0)
        if num == 1:
            run += 1
            longest = max(longest, run)
        else:
            run = 0
    return longest


def instance(rng: Random, length: int) -> tuple:
    share = rng.uniform(0.2, 0.8)  # of ones: it decides how long the runs are
    return ([int(rng.random() < share) for _ in range(length)],)


def reference(nums: list[int]) -> int:
    return max(map(len, "".join(map(str, nums)).split("0")))


register(
    max_consecutive_ones,
    source="lc_485",
    role="pretrain",
    valid_lengths=range(2, 61),  # with one bit, a split would be left without an instance
    instance=instance,
    reference=reference,
    questions=[
        "What is the largest number of ones in a row in this list? nums = {nums}",
        "How long is the longest unbroken run of 1? It is 0 if there is none. nums = {nums}",
        "At most how many ones stand directly one after the other here? nums = {nums}",
    ],
)

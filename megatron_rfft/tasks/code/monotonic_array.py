"""Monotonic Array: does the list never fall, or never rise? The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def monotonic_array(nums):
    never_falls = True
    never_rises = True
    previous = nums[0]
    while nums:
        num = nums.pop(0)
        if num < previous:
            never_falls = False
        elif num > previous:
            never_rises = False
        previous = num
    return never_falls or never_rises


def instance(rng: Random, length: int) -> tuple:
    largest = rng.randint(10, 99)
    nums = sorted((rng.randint(1, largest) for _ in range(length)), reverse=rng.random() < 0.5)
    if length > 2 and rng.random() < 0.5:
        while reference(nums):
            nums[rng.randrange(length)] = rng.randint(1, largest)
    return (nums,)


def reference(nums: list[int]) -> bool:
    return nums in (sorted(nums), sorted(nums, reverse=True))


register(
    monotonic_array,
    source="lc_896",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Is this list sorted, either upwards or downwards? Equal neighbours are allowed. nums = {nums}",
        "Do the numbers never go down, or never go up, from the first to the last? nums = {nums}",
        "A list is monotone if no number is smaller than the one before it, or if none is larger. Is this one? "
        "nums = {nums}",
    ],
)

"""Make Array Zero by Subtracting: how many rounds does it take? The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_2357(nums):
    # All equal numbers become zero in the same round, and each round does that to one value.
    values = []
    while nums:
        num = nums.pop(0)
        if num > 0 and num not in values:
            values.append(num)
    return len(values)


def instance(rng: Random, length: int) -> tuple:
    largest = rng.randint(1, 2 * length + 2)
    return ([rng.randint(0, largest) for _ in range(length)],)


def reference(nums: list[int]) -> int:
    """Round by round."""
    rounds = 0
    while positive := [num for num in nums if num]:
        nums = [num - min(positive) for num in positive]
        rounds += 1
    return rounds


register(
    lc_2357,
    source="lc_2357",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "In each round the smallest number above 0 is subtracted from every number above 0. After how many rounds are "
        "all numbers 0? nums = {nums}",
        "Take the least positive number of the list away from all positive ones, and do so again until only zeros are "
        "left. How often do you do it? nums = {nums}",
        "How many different numbers other than 0 are in this list (which is how often the smallest positive one can "
        "be subtracted from all positive ones)? nums = {nums}",
    ],
)

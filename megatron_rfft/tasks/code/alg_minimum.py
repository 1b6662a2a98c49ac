"""Index of the minimum. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def alg_minimum(nums):
    smallest = nums.pop(0)
    place = 0
    index = 0
    while nums:
        num = nums.pop(0)
        index += 1
        if num < smallest:
            smallest = num
            place = index
    return place


def instance(rng: Random, length: int) -> tuple:
    """Half of the lists fall on the whole, so that the minimum changes often and is often late."""
    slope = rng.choice([0, 0, 1, 2])
    return ([rng.randint(0, 50) + slope * (length - i) for i in range(length)],)


def reference(nums: list[int]) -> int:
    return nums.index(min(nums))


register(
    alg_minimum,
    source="alg_minimum",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "At which index, from 0 on, does the smallest number stand, the first time if it occurs more than once? "
        "nums = {nums}",
        "Where is the minimum of this list? Count places from 0 and take the leftmost of equal ones. nums = {nums}",
        "How many numbers come before the smallest number of the list (before its first occurrence)? nums = {nums}",
    ],
)

"""Binary search: the places that are looked at. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def alg_binary_search(nums, target):
    places = []
    low = 0
    high = len(nums) - 1
    while low <= high:
        middle = (low + high) // 2
        places.append(middle)
        if nums[middle] == target:
            return places
        if nums[middle] < target:
            low = middle + 1
        else:
            high = middle - 1
    return places


def instance(rng: Random, length: int) -> tuple:
    """An ascending list; one time in three the target is any number of its range."""
    nums = sorted(rng.sample(range(1, 4 * length + 20), length))
    return nums, rng.choice([*rng.choices(nums, k=2), rng.randint(nums[0], nums[-1])])


def reference(nums: list[int], target: int) -> list[int]:
    """By halving the list of places itself."""
    looked_at, places = [], list(range(len(nums)))
    while places:
        half = (len(places) - 1) // 2
        middle = places[half]
        looked_at.append(middle)
        if nums[middle] == target:
            break
        places = [place for place in places if (place > middle) == (nums[middle] < target) and place != middle]
    return looked_at


register(
    alg_binary_search,
    source="alg_binary_search",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Search this ascending list for {target} by halving: look at the middle place of those left (the left one of "
        "two), then go on in the half where it must be, until it is found or no place is left. Which places, from 0 "
        "on, do you look at? nums = {nums}",
        "A binary search for {target} takes the middle index, rounded down, of the part that is still possible. List "
        "all indices (the first is 0) that it compares, in order, ending where {target} is found or can be nowhere. "
        "nums = {nums}",
        "Give the indices, counted from 0, that a binary search for {target} visits. It always visits (low + high) // "
        "2, where low and high are the first and last index not yet ruled out, and stops when it has found {target} "
        "or when none is left. nums = {nums}",
    ],
)

"""Two Sum: the places of two numbers with a given sum. The length is the length of the list."""

from itertools import combinations
from random import Random

from megatron_rfft.tasks.registry import register


def lc_1(nums, target):
    places = {}
    place = 0
    while nums:
        num = nums.pop(0)
        if target - num in places:
            return [places[target - num], place]
        places[num] = place
        place += 1
    return []


def instance(rng: Random, length: int) -> tuple:
    """No number twice; one time in five no two of them have the sum, or only by chance."""
    nums = rng.sample(range(1, 10 * length + 10), length)
    pairs = [rng.randint(3, 20 * length), *(sum(rng.sample(nums, 2)) for _ in range(4))]
    return nums, rng.choice(pairs)


def reference(nums: list[int], target: int) -> list[int]:
    pairs = [[j, i] for i, j in combinations(range(len(nums)), 2) if nums[i] + nums[j] == target]
    return min(pairs)[::-1] if pairs else []


register(
    lc_1,
    source="lc_1",
    role="extra",
    valid_lengths=range(2, 41),
    instance=instance,
    reference=reference,
    questions=[
        "Reading the list from the left, stop at the first number that adds up to {target} with one before it. Give "
        "the places of both, counted from 0, the smaller first; [] if there is none. nums = {nums}",
        "Which two numbers of the list have the sum {target}? Answer with their indices from 0 on, in ascending "
        "order. Of several pairs take the one that is complete first, and if there is no pair, answer []. nums = "
        "{nums}",
        "Find i < j so that the numbers with these indices (the first is 0) sum to {target}, j as small as possible. "
        "Write [i, j], or [] if it cannot be done. nums = {nums}",
    ],
)

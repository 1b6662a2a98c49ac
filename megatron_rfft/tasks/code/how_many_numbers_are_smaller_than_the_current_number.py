"""How Many Numbers Are Smaller: for each digit of a list. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_1365(nums):
    counts = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    rest = nums.copy()
    while rest:
        num = rest.pop(0)
        counts[num] += 1
    smaller = []
    total = 0
    while counts:
        smaller.append(total)
        total += counts.pop(0)
    result = []
    while nums:
        num = nums.pop(0)
        result.append(smaller[num])
    return result


def instance(rng: Random, length: int) -> tuple:
    return ([rng.randint(0, 9) for _ in range(length)],)


def reference(nums: list[int]) -> list[int]:
    return [sum(other < num for other in nums) for num in nums]


register(
    lc_1365,
    source="lc_1365",
    role="extra",
    valid_lengths=range(1, 51),
    instance=instance,
    reference=reference,
    questions=[
        "For each number of this list, how many numbers of the list are smaller than it? Give the list of these "
        "counts. nums = {nums}",
        "Replace every number by the number of items of the list that are less than it. What is the list then? nums = "
        "{nums}",
        "A number beats each smaller one in the list. How many does each of them beat? Answer with a list in the same "
        "order. nums = {nums}",
    ],
)

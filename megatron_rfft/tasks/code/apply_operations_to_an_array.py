"""Apply Operations to an Array: merge equal neighbours, then move zeroes. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def apply_operations_to_an_array(nums):
    size = len(nums)
    i = 1
    while i < size:
        if nums[i - 1] == nums[i]:
            nums[i - 1] *= 2
            nums[i] = 0
        i += 1
    packed = []
    k = 0
    while k < size:
        entry = nums[k]
        if entry:
            packed.append(entry)
        k += 1
    while len(packed) < size:
        packed.append(0)
    return packed


def instance(rng: Random, length: int) -> tuple:
    nums = [rng.randint(0, 20)]
    while len(nums) < length:
        nums.append(rng.choice([nums[-1], 0, rng.randint(1, 20), rng.randint(1, 20)]))
    return (nums,)


def reference(nums: list[int]) -> list[int]:
    merged = list(nums)
    for i in range(len(merged) - 1):
        if merged[i] == merged[i + 1]:
            merged[i : i + 2] = [merged[i] * 2, 0]
    return sorted(merged, key=lambda num: num == 0)


register(
    apply_operations_to_an_array,
    source="lc_2460",
    role="pretrain",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Go through the list from left to right: wherever a number equals the next one, double it and set the next one "
        "to 0, before you go on. At last move all zeroes to the end; the rest keeps its order. "
        "What is the list then? nums = {nums}",
        "First, for each place from the left, if the number there and its right neighbour are equal by then, it is "
        "doubled and the neighbour becomes 0. Then the zeroes go to the back, without other changes of order. "
        "Give the resulting list. nums = {nums}",
        "Merge equal neighbours one pair after the other from the left: the left one takes the sum, the right one "
        "turns into 0, and what has just changed counts for the next pair. "
        "How does the list read when all its zeroes are put last? nums = {nums}",
    ],
)

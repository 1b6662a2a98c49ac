"""Move Zeroes: all zeroes to the end, the rest in order. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def move_zeroes(nums):
    result = []
    num_zeroes = 0
    while nums:
        num = nums.pop(0)
        if num == 0:
            num_zeroes += 1
        else:
            result.append(num)
    while num_zeroes:
        result.append(0)
        num_zeroes -= 1
    return result


def instance(rng: Random, length: int) -> tuple:
    # A list of one number may go without a zero; any other has at least one zero and one other number.
    num_zeroes = rng.randint(1, length - 1) if length > 1 else rng.randint(0, 1)
    nums = [0] * num_zeroes + [rng.randint(1, 99) for _ in range(length - num_zeroes)]
    rng.shuffle(nums)
    return (nums,)


def reference(nums: list[int]) -> list[int]:
    return sorted(nums, key=lambda num: num == 0)


register(
    move_zeroes,
    source="lc_283",
    role="held-out",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Put every zero of the list behind all other numbers, which keep their order. "
        "What is the list then? nums = {nums}",
        "The zeroes of this list go to its end, and nothing else changes places. Give the new list. nums = {nums}",
        "How does the list read once its zeroes have been moved to the back? nums = {nums}",
    ],
)

"""Find the Array Concatenation Value: join first and last number, and sum. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def find_the_array_concatenation_value(nums):
    total = 0
    while nums:
        value = str(nums.pop(0))
        if nums:
            value += str(nums.pop())
        total += int(value)
    return total


def instance(rng: Random, length: int) -> tuple:
    return ([rng.randint(1, rng.choice([9, 99, 999])) for _ in range(length)],)


def reference(nums: list[int]) -> int:
    half = len(nums) // 2
    ends = zip(nums[:half], nums[::-1], strict=False)
    middle = sum(nums[half : len(nums) - half])
    return middle + sum(first * 10 ** len(str(last)) + last for first, last in ends)


register(
    find_the_array_concatenation_value,
    source="lc_2562",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Take the first and the last number off the list, write them one behind the other as a single number (7 and 12 "
        "give 712) and add it to a total. Repeat until the list is empty; a number left alone is added as it is. "
        "What is the total? nums = {nums}",
        "Pair the first number with the last, the second with the second to last and so on, and write each pair as one "
        "number, the earlier one in front. What is the sum of all these, and of the middle number if there is one? "
        "nums = {nums}",
        "Keep removing both ends of this list and concatenating them, left end first, into one number; the last number "
        "may have no partner and stands for itself. What do the numbers add up to? nums = {nums}",
    ],
)

"""Find All Numbers Disappeared in an Array: which of 1 to n are missing? The length is n, the list's length."""

from random import Random

from megatron_rfft.tasks.registry import register


def find_all_numbers_disappeared_in_an_array(nums):
    missing = []
    num = 1
    while num <= len(nums):
        if num not in nums:
            missing.append(num)
        num += 1
    return missing


def instance(rng: Random, length: int) -> tuple:
    present = rng.sample(range(1, length + 1), rng.randint((length + 2) // 3, length))
    nums = present + rng.choices(present, k=length - len(present))
    rng.shuffle(nums)
    return (nums,)


def reference(nums: list[int]) -> list[int]:
    return sorted(set(range(1, len(nums) + 1)).difference(nums))


register(
    find_all_numbers_disappeared_in_an_array,
    source="lc_448",
    role="pretrain",
    valid_lengths=range(2, 61),  # of one number there is one list, [1]
    instance=instance,
    reference=reference,
    questions=[
        "All numbers in this list lie between 1 and the length of the list. "
        "Which of the numbers from 1 to the length do not occur, in rising order? nums = {nums}",
        "The list has n numbers. Give the sorted list of those numbers from 1 to n that it lacks. nums = {nums}",
        "Count from 1 up to the length of the list and write down, as a list, each number that is not in it. "
        "nums = {nums}",
    ],
)

"""Remove One Element to Make Strictly Increasing: is one removal enough? The length is the length of the list."""

from itertools import pairwise
from random import Random

from megatron_rfft.tasks.registry import register


def remove_one_element_to_make_strictly_increasing(nums):
    before = 0
    last = 0
    removed = False
    while nums:
        num = nums.pop(0)
        if num > last:
            before = last
            last = num
        elif removed:
            return False
        else:
            removed = True
            if num > before:
                last = num
    return True


def instance(rng: Random, length: int) -> tuple:
    """A sorted list with one number put in anywhere, or with two, often side by side, that are one too many."""
    answer = rng.random() < 0.5
    num_added = 1 if answer else 2
    while True:
        nums = sorted(rng.sample(range(1, 100), length - num_added))
        i = rng.randint(0, len(nums))
        for _ in range(num_added):
            nums.insert(i, rng.randint(1, 99))
            i = rng.choice([i, rng.randint(0, len(nums))])
        if reference(nums) == answer:
            return (nums,)


def reference(nums: list[int]) -> bool:
    shorter = (nums[:i] + nums[i + 1 :] for i in range(len(nums)))
    return any(all(first < second for first, second in pairwise(rest)) for rest in shorter)


register(
    remove_one_element_to_make_strictly_increasing,
    source="lc_1909",
    role="pretrain",
    valid_lengths=range(3, 61),  # of two numbers, one may always go
    instance=instance,
    reference=reference,
    questions=[
        "Can exactly one number be removed so that each remaining number is greater than the one before it? "
        "(If the list is like that already, it stays so: the answer is yes.) nums = {nums}",
        "Is it possible to strike out one item of this list of positive numbers, any one, so that the others are "
        "strictly increasing? nums = {nums}",
        "Would this list be strictly increasing, without equal neighbours, after taking out a single number? "
        "A list that is so from the start counts as yes. nums = {nums}",
    ],
)

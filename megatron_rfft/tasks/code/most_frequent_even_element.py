"""Most Frequent Even Element: of equally frequent ones the smallest. The length is the length of the list."""

from collections import Counter
from random import Random

from megatron_rfft.tasks.registry import register


def most_frequent_even_element(nums):
    best = -1
    most = 0
    counts = {}
    while nums:
        num = nums.pop(0)
        if num % 2 == 0:
            counts[num] = counts.get(num, 0) + 1
            if counts[num] > most or (counts[num] == most and num < best):
                best = num
                most = counts[num]
    return best


def instance(rng: Random, length: int) -> tuple:
    pool = rng.sample(range(100), rng.randint(2, length // 2 + 2))
    return (rng.choices(pool, k=length),)


def reference(nums: list[int]) -> int:
    counts = Counter(num for num in nums if num % 2 == 0)
    return min(counts, key=lambda num: (-counts[num], num), default=-1)


register(
    most_frequent_even_element,
    source="lc_2404",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Which even number occurs most often in the list? If several do, give the smallest of them; "
        "if no number is even, give -1. nums = {nums}",
        "Look at the even numbers of this list only. Which comes up most frequently, the smallest one in case of a "
        "tie? Answer -1 if there is none. nums = {nums}",
        "Find the most common even number, preferring smaller numbers among equally common ones. "
        "Without any even number the result is -1. nums = {nums}",
    ],
)

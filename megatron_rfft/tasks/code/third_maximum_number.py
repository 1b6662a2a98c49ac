"""Third Maximum Number: the third largest distinct number, else the largest. The length is the list's length."""

from random import Random

from megatron_rfft.tasks.registry import register


def third_maximum_number(nums):
    top = []
    while nums:
        num = nums.pop(0)
        if num not in top:
            top.append(num)
        if len(top) > 3:
            top.remove(min(top[0], top[1], top[2], top[3]))
    if len(top) < 3:
        return max(top[0], top[-1])
    return min(top[0], top[1], top[2])


def instance(rng: Random, length: int) -> tuple:
    # Every fourth list has at most three different numbers, so that having no third one is no rare case.
    kinds = rng.randint(2, 3) if rng.random() < 0.25 else rng.randint(3, length + 3)
    pool = rng.sample(range(-99, 100), kinds)
    return (rng.choices(pool, k=length),)


def reference(nums: list[int]) -> int:
    distinct = sorted(set(nums))
    return distinct[-3] if len(distinct) > 2 else distinct[-1]


register(
    third_maximum_number,
    source="lc_414",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Equal numbers count once. What is the third largest number of the list? "
        "If there are fewer than three different numbers, give the largest. nums = {nums}",
        "Rank the different numbers in this list from the largest down and give the third one, "
        "or the first one if there is no third. nums = {nums}",
        "Find the third highest distinct value; with only one or two distinct values take the highest. nums = {nums}",
    ],
)

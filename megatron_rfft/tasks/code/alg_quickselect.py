"""Quickselect: the k-th smallest number by splitting the list. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def alg_quickselect(nums, k):
    while len(nums) > 1:
        pivot = nums[0]
        smaller = []
        larger = []
        equal = 0
        while nums:
            num = nums.pop(0)
            if num < pivot:
                smaller.append(num)
            elif num > pivot:
                larger.append(num)
            else:
                equal += 1
        if k <= len(smaller):
            nums = smaller
        elif k <= len(smaller) + equal:
            nums = [pivot]
        else:
            k -= len(smaller) + equal
            nums = larger
    return nums[0]


def instance(rng: Random, length: int) -> tuple:
    return [rng.randint(1, 99) for _ in range(length)], rng.randint(1, length)


def reference(nums: list[int], k: int) -> int:
    return sorted(nums)[k - 1]


register(
    alg_quickselect,
    source="alg_quickselect",
    role="extra",
    version=2,
    valid_lengths=range(1, 31),
    instance=instance,
    reference=reference,
    questions=[
        "Which number would be number {k}, counted from 1, if this list were sorted in ascending order? nums = {nums}",
        "Find the {k}-th smallest number of the list, where the 1st is the minimum and equal numbers count "
        "separately. nums = {nums}",
        "Take away the smallest number again and again, one at a time. Which one is number {k} to go? nums = {nums}",
    ],
)

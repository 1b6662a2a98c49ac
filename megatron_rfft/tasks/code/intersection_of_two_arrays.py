"""Intersection of Two Arrays: numbers that both lists have. The length is that of each list."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_349(nums1, nums2):
    result = []
    while nums1:
        num = nums1.pop(0)
        if num in nums2 and num not in result:
            result.append(num)
    return result


def instance(rng: Random, length: int) -> tuple:
    largest = length + rng.randint(1, length + 2)
    return [rng.randint(1, largest) for _ in range(length)], [rng.randint(1, largest) for _ in range(length)]


def reference(nums1: list[int], nums2: list[int]) -> list[int]:
    return sorted(set(nums1) & set(nums2), key=nums1.index)


register(
    lc_349,
    source="lc_349",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Which numbers occur in both lists? Name each once, in the order of the first list. "
        "nums1 = {nums1}, nums2 = {nums2}",
        "Give the intersection of these lists without repetitions, its numbers in the order of their first occurrence "
        "in nums1. nums1 = {nums1}, nums2 = {nums2}",
        "Go through the first list and write down each number that the second list has, too, unless you have written "
        "it down already. nums1 = {nums1}, nums2 = {nums2}",
    ],
)

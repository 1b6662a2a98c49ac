"""Merge Sorted Arrays: one sorted list from two. The length is that of both lists together."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_88(nums1, nums2):
    result = []
    while nums1 and nums2:
        if nums1[0] <= nums2[0]:
            result.append(nums1.pop(0))
        else:
            result.append(nums2.pop(0))
    return result + nums1 + nums2


def instance(rng: Random, length: int) -> tuple:
    cut = rng.randint(length // 3, length - length // 3)
    nums = [rng.randint(0, 99) for _ in range(length)]
    return sorted(nums[:cut]), sorted(nums[cut:])


def reference(nums1: list[int], nums2: list[int]) -> list[int]:
    return sorted(nums1 + nums2)


register(
    lc_88,
    source="lc_88",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "Both lists are sorted. Merge them into one sorted list of all their numbers. nums1 = {nums1}, nums2 = {nums2}",
        "Two rows of numbers, each in ascending order, become one such row, equal numbers side by side. "
        "Which one? nums1 = {nums1}, nums2 = {nums2}",
        "Combine these two ascending lists, either of which may be empty, into a single ascending list that has every "
        "number of both. nums1 = {nums1}, nums2 = {nums2}",
    ],
)

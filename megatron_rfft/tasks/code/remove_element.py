"""Remove Element: take a value out of a list. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_27(nums, value):
    result = []
    while nums:
        num = nums.pop(0)
        if num != value:
            result.append(num)
    return result


def instance(rng: Random, length: int) -> tuple:
    value = rng.randint(0, 99)
    share = rng.uniform(0.1, 0.6)
    return [value if rng.random() < share else rng.randint(0, 99) for _ in range(length)], value


def reference(nums: list[int], value: int) -> list[int]:
    while value in nums:
        nums = nums[: nums.index(value)] + nums[nums.index(value) + 1 :]
    return nums


register(
    lc_27,
    source="lc_27",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Strike every {value} out of the list. Which numbers are left, in their order? nums = {nums}",
        "What remains of this list, as a list, when each number that equals {value} is taken out? nums = {nums}",
        "Copy the list without {value}, keeping the order of the other numbers. nums = {nums}",
    ],
)

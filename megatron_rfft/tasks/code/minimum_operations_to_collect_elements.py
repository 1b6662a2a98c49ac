"""Minimum Operations to Collect Elements: from the end, until 1 to k are there. The length is the list's length."""

from random import Random

from megatron_rfft.tasks.registry import register


def minimum_operations_to_collect_elements(nums, k):
    collected = []
    operations = 0
    while len(collected) < k:
        num = nums.pop()
        operations += 1
        if num <= k and num not in collected:
            collected.append(num)
    return operations


def instance(rng: Random, length: int) -> tuple:
    """Draw the answer, put a needed number there, and the others needed somewhere behind it."""
    operations = rng.randint(1, length)
    k = rng.randint(1, operations)
    last = rng.randint(1, k)
    numbers = [num for num in range(1, length + 1) if num != last]
    behind = [num for num in numbers if num <= k]
    behind += rng.choices(numbers, k=operations - 1 - len(behind))
    rng.shuffle(behind)
    before = [rng.randint(1, length) for _ in range(length - operations)]
    return [*before, last, *behind], k


def reference(nums: list[int], k: int) -> int:
    return 1 + max(nums[::-1].index(num) for num in range(1, k + 1))


register(
    minimum_operations_to_collect_elements,
    source="lc_2869",
    role="pretrain",
    valid_lengths=range(3, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Numbers are taken off the end of the list, one by one, into a collection. "
        "After how many does it hold all the numbers from 1 to {k}? nums = {nums}",
        "How many numbers do you have to remove from the end of this list, at the least, to have removed each of "
        "1 to {k} at least once? nums = {nums}",
        "Read the list from its end towards its beginning. How many numbers have you read once every number from 1 to "
        "{k} has come up? nums = {nums}",
    ],
)

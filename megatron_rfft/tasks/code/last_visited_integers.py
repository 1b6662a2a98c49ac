"""Last Visited Integers: each -1 in a row asks one number further back. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def last_visited_integers(nums):
    seen = []
    run = 0
    result = []
    while nums:
        num = nums.pop(0)
        if num == -1:
            run += 1
            if run <= len(seen):
                result.append(seen[-run])
            else:
                result.append(-1)
        else:
            seen.append(num)
            run = 0
    return result


def instance(rng: Random, length: int) -> tuple:
    return ([rng.choice([-1, rng.randint(1, 99)]) for _ in range(length)],)


def reference(nums: list[int]) -> list[int]:
    answers = []
    for i, num in enumerate(nums):
        if num == -1:
            start = max((j for j in range(i) if nums[j] != -1), default=-1)  # the -1s behind it are one row
            numbers = [other for other in nums[:i] if other != -1]
            answers.append(numbers[start - i] if i - start <= len(numbers) else -1)
    return answers


register(
    last_visited_integers,
    source="lc_2899",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Read the list from left to right. A positive number is put on record. The k-th -1 in an unbroken row of -1s "
        "answers the k-th number from the end of the record, or -1 if the record is shorter than that. "
        "List the answers in order. nums = {nums}",
        "Each -1 looks back over the positive numbers before it: the first -1 after a number gives the latest of them, "
        "a second -1 right behind it the one before that, and so on; where there is none left it gives -1. "
        "Which list do the -1s give? nums = {nums}",
        "Go through the list. Remember every positive number; for a -1, count how many -1s have come one right after "
        "the other up to this one, and write down the number remembered that many places back, "
        "or -1 if there are too few. What is written down? nums = {nums}",
    ],
)

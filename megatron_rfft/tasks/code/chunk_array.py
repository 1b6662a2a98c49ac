"""Chunk Array: a list in pieces of one size. The length is the length of the list."""

from random import Random

from megatron_rfft.tasks.registry import register


def chunk_array(arr, size):
    chunks = []
    chunk = []
    while arr:
        chunk.append(arr.pop(0))
        if len(chunk) == size:
            chunks.append(chunk)
            chunk = []
    if chunk:
        chunks.append(chunk)
    return chunks


def instance(rng: Random, length: int) -> tuple:
    largest = rng.randint(1, length + 1)  # drawn first, so that small sizes, which make many pieces, come up often
    return [rng.randint(0, 99) for _ in range(length)], rng.randint(1, largest)


def reference(arr: list[int], size: int) -> list[list[int]]:
    return [arr[start : start + size] for start in range(0, len(arr), size)]


register(
    chunk_array,
    source="lc_2677",
    role="held-out",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Cut the list into pieces of {size} (only the last may be shorter) and give the list of pieces. arr = {arr}",
        "Split this list, in order, into lists of length {size}; what is left over at the end makes a shorter one. "
        "What is the list of these lists? arr = {arr}",
        "Group the numbers from left to right, {size} to a group and the rest in a last one. "
        "Write the groups as a list of lists. arr = {arr}",
    ],
)

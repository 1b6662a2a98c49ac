"""Hamming Distance: at how many places do two binary numbers differ? The length is the longer one's number of bits."""

from random import Random

from megatron_rfft.tasks.registry import register


def hamming_distance(x, y):
    distance = 0
    while x or y:
        bit_x = "0"
        if x:
            bit_x = x[-1]
            x = x[:-1]
        bit_y = "0"
        if y:
            bit_y = y[-1]
            y = y[:-1]
        if bit_x != bit_y:
            distance += 1
    return distance


def instance(rng: Random, length: int) -> tuple:
    """A number of ``length`` bits, and some of its last bits or all with a random share of them flipped."""
    longer = rng.randrange(2 ** (length - 1) if length > 1 else 0, 2**length)
    share = rng.random()
    flips = sum((rng.random() < share) << place for place in range(length))
    other = (longer ^ flips) % 2 ** rng.choice([length, rng.randint(1, length)])
    pair = [f"{longer:b}", f"{other:b}"]
    rng.shuffle(pair)
    return tuple(pair)


def reference(x: str, y: str) -> int:
    return (int(x, 2) ^ int(y, 2)).bit_count()


register(
    hamming_distance,
    source="lc_461",
    role="held-out",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "At how many places do the binary numbers {x} and {y} have different bits? "
        "Align them at their last bits; missing bits in front are 0.",
        "What is the Hamming distance of the binary numbers {x} and {y}, the shorter one filled up with zeros on the "
        "left?",
        "Compare {x} with {y} bit by bit from the right, taking a bit that is not there as 0. How many bits differ?",
    ],
)

"""Rings and Rods: how many rods hold rings of all three colours? The length is the number of rings."""

from random import Random

from megatron_rfft.tasks.registry import register

COLORS = "RGB"
RODS = "0123456789"


def rings_and_rods(rings):
    rods = {}
    count = 0
    while rings:
        color = rings[0]
        rod = rings[1]
        rings = rings[2:]
        colors = rods.get(rod, "")
        if color not in colors:
            rods[rod] = colors + color
            if len(rods[rod]) == 3:
                count += 1
    return count


def instance(rng: Random, length: int) -> tuple:
    """Complete as many rods as drawn; all other rods do without one colour."""
    num_complete = rng.randint(0, min(len(RODS), length // len(COLORS)))
    complete = rng.sample(RODS, num_complete)
    palettes = {rod: COLORS if rod in complete else rng.sample(COLORS, 2) for rod in RODS}
    rings = [color + rod for rod in complete for color in COLORS]
    while len(rings) < length:
        rod = rng.choice(RODS)
        rings.append(rng.choice(palettes[rod]) + rod)
    rng.shuffle(rings)
    return ("".join(rings),)


def reference(rings: str) -> int:
    placed = set(zip(rings[::2], rings[1::2], strict=True))
    return sum(all((color, rod) in placed for color in COLORS) for rod in RODS)


register(
    rings_and_rods,
    source="lc_2103",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Ten rods are numbered 0 to 9. Each pair of characters is a ring: its colour, R, G or B, and the rod it is on. "
        "How many rods have rings of all three colours? rings = '{rings}'",
        "Rings are put on rods: R4 is a red ring on rod 4, G is for green and B for blue. "
        "On how many rods is there a red, a green and a blue ring, at least one of each? rings = '{rings}'",
        "Read the string two characters at a time, a colour letter (R, G, B) and a digit. "
        "Count the digits that occur with each of the three letters. rings = '{rings}'",
    ],
)

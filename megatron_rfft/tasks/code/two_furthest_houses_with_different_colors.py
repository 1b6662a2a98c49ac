"""Two Furthest Houses With Different Colors: how far apart? The length is the number of houses."""

from random import Random

from megatron_rfft.tasks.registry import register

COLORS = ("black", "blue", "green", "red", "white", "yellow")


def two_furthest_houses_with_different_colors(colors):
    first = colors[0]
    last = colors[-1]
    best = 0
    i = 0
    while colors:
        color = colors.pop(0)
        if color != first:
            best = max(best, i)
        if color != last:
            best = max(best, len(colors))
        i += 1
    return best


def instance(rng: Random, length: int) -> tuple:
    """Equal houses at both ends, as many as drawn; the row within begins or ends with another colour."""
    margin = rng.randint(0, length // 3)
    color, other = rng.sample(COLORS, 2)
    colors = [color if i < margin or i >= length - margin else rng.choice(COLORS) for i in range(length)]
    colors[0], colors[-1] = color, color
    colors[rng.choice([margin, length - 1 - margin])] = other
    return (colors,)


def reference(colors: list[str]) -> int:
    houses = list(enumerate(colors))
    return max(abs(i - j) for i, color in houses for j, other in houses if color != other)


register(
    two_furthest_houses_with_different_colors,
    source="lc_2078",
    role="pretrain",
    valid_lengths=range(2, 61),  # two colours need two houses
    instance=instance,
    reference=reference,
    questions=[
        "Houses with these colours stand in a row, one step apart. "
        "How far apart are the two houses of different colours that are furthest from each other? colors = {colors}",
        "Choose two places i and j of the list that hold different colours, as far from each other as possible. "
        "What is the distance |i - j|? colors = {colors}",
        "What is the greatest number of steps between two houses of this row, neighbours being one step apart, "
        "if the two must not have the same colour? colors = {colors}",
    ],
)

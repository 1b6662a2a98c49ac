"""Leg counting: how many legs do animals have altogether? The length is the number of entries."""

from random import Random

from megatron_rfft.tasks.registry import register

LEGS = (
    "Ants, bees, flies and moths have 6 legs, spiders, ticks and mites 8, crabs and shrimps 10, "
    "ducks, crows, owls and geese 2, all others 4. "
)


def logic_leg_counting(animals):
    six = ["ant", "bee", "fly", "moth"]
    eight = ["spider", "tick", "mite"]
    ten = ["crab", "shrimp"]
    two = ["duck", "crow", "owl", "goose"]
    legs = 0
    while animals:
        animal, number = animals.pop(0)
        if animal in two:
            legs += 2 * number
        elif animal in six:
            legs += 6 * number
        elif animal in eight:
            legs += 8 * number
        elif animal in ten:
            legs += 10 * number
        else:
            legs += 4 * number
    return legs


def instance(rng: Random, length: int) -> tuple:
    kinds = ("ant bee fly moth", "spider tick mite", "crab shrimp", "duck crow owl goose", "cow dog horse cat")
    return ([[rng.choice(rng.choice(kinds).split()), rng.randint(1, 12)] for _ in range(length)],)


def reference(animals: list[list]) -> int:
    legs = {"ant": 6, "bee": 6, "fly": 6, "moth": 6, "spider": 8, "tick": 8, "mite": 8, "crab": 10, "shrimp": 10}
    legs |= dict.fromkeys(["duck", "crow", "owl", "goose"], 2)
    return sum(number * legs.get(animal, 4) for animal, number in animals)


register(
    logic_leg_counting,
    source="logic_leg_counting",
    role="extra",
    valid_lengths=range(1, 41),
    instance=instance,
    reference=reference,
    questions=[
        LEGS + "How many legs do these animals have altogether, each kind given with its number? animals = {animals}",
        LEGS + "A farm and its barn are home to so many of each animal. What is the number of all their legs? animals "
        "= {animals}",
        LEGS + "Count the legs of everything in this list of [animal, how many]. animals = {animals}",
    ],
)

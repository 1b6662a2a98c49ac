"""Coin flip: is a coin still heads up after each person flips or keeps it? The length is the number of people."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import FEW_NAMES


def coin_flip(turns):
    heads_up = True
    while turns:
        turn = turns.pop(0)
        if turn[1] == "flip":
            heads_up = not heads_up
    return heads_up


def instance(rng: Random, length: int) -> tuple:
    return ([[name, rng.choice(["flip", "keep"])] for name in rng.sample(FEW_NAMES, length)],)


def reference(turns: list[list[str]]) -> bool:
    return sum(action == "flip" for _, action in turns) % 2 == 0


register(
    coin_flip,
    source="sr_coin_flip",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A coin lies heads up. One after the other, each person either flips it or keeps it as it is. "
        "Is it heads up in the end? turns = {turns}",
        "People take turns with a coin that starts heads up; each turns it over (flip) or leaves it alone (keep). "
        "Does it still show heads at the end? turns = {turns}",
        "Does a coin that shows heads at first show heads after these turns? turns = {turns}",
    ],
)

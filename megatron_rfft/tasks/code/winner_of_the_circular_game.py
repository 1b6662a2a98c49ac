"""Winner of the Circular Game: every k-th friend leaves the circle. The length is the number of friends."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import NAMES


def winner_of_the_circular_game(friends, k):
    while len(friends) > 1:
        passed = (k - 1) % len(friends)
        friends = friends[passed + 1 :] + friends[:passed]
    return friends[0]


def instance(rng: Random, length: int) -> tuple:
    return rng.sample(NAMES, length), rng.randint(1, 5)


def reference(friends: list[str], k: int) -> str:
    winner = 0
    for size in range(2, len(friends) + 1):
        winner = (winner + k) % size
    return friends[winner]


register(
    winner_of_the_circular_game,
    source="lc_1823",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Friends sit in a circle in this order. Counting starts with the first one at 1; whoever is counted as {k} "
        "leaves, and the next one starts again at 1, until only one friend is left. Who? friends = {friends}",
        "In a counting-out game, these friends stand in a circle, and every friend number {k} drops out, counted on "
        "from the one after the last dropout (at first from the first friend, who is number 1). "
        "Who remains at the end? friends = {friends}",
        "Go round and round this circle of friends from the first one on and count 1, 2, ... up to {k} over and over; "
        "each friend on whom {k} falls is out. Who is the last one in? friends = {friends}",
    ],
)

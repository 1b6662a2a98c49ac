"""Losers of the Circular Game: who never gets a ball that flies ever further? The length is the number of people."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import NAMES


def losers_of_the_circular_game(friends, k):
    size = len(friends)
    seen = []
    position = 0
    turn = 1
    while position not in seen:
        seen.append(position)
        position = (position + turn * k) % size
        turn += 1
    losers = []
    i = 0
    while friends:
        friend = friends.pop(0)
        if i not in seen:
            losers.append(friend)
        i += 1
    return losers


def instance(rng: Random, length: int) -> tuple:
    return rng.sample(NAMES, length), rng.randint(1, length)


def reference(friends: list[str], k: int) -> list[str]:
    without_ball = dict.fromkeys(friends)
    circle, steps = list(friends), k
    while circle[0] in without_ball:
        del without_ball[circle[0]]
        shift = steps % len(circle)
        circle, steps = circle[shift:] + circle[:shift], steps + k
    return list(without_ball)


register(
    losers_of_the_circular_game,
    source="lc_2682",
    role="pretrain",
    version=2,
    valid_lengths=range(2, 61),  # one person alone can't lose
    instance=instance,
    reference=reference,
    questions=[
        "Friends sit in a circle in this order, and the first has a ball. Passes go further by {k}, then by 2 * "
        "{k}, then by 3 * {k}, and so on; the game ends when somebody gets the ball for the second time. List "
        "the friends who never had it, in their order. friends = {friends}",
        "A ball goes round a circle of friends, starting with the first. The i-th pass takes it further by i * "
        "{k}, and play stops as soon as it reaches someone who has held it before. Who has not held it at all? "
        "Keep the order of the list. friends = {friends}",
        "The first friend in this circle holds a ball. Pass number 1 moves it forward by {k}, and every later "
        "pass by {k} more than the one before, past the end to the start again. It stops at the first friend it "
        "reaches twice. Which friends, in order, did it never reach? friends = {friends}",
    ],
)

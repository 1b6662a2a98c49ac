"""Robot Return to Origin: do steps in four directions lead back? The length is half the number of steps."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_657(moves):
    x = 0
    y = 0
    while moves:
        if moves[0] == "U":
            y += 1
        elif moves[0] == "D":
            y -= 1
        elif moves[0] == "R":
            x += 1
        else:
            x -= 1
        moves = moves[1:]
    return x == 0 and y == 0


def instance(rng: Random, length: int) -> tuple:
    pairs = [rng.choice(["UD", "LR"]) for _ in range(length)]
    moves = "".join(pairs)
    moves = "".join(rng.sample(moves, len(moves)))
    return (rng.choice([moves, spoilt(moves)]),)


def spoilt(moves: str) -> str:
    """One step in another direction, the same for the same moves, so that yes and no stay even at length 1."""
    rng = Random(moves)
    place = rng.randrange(len(moves))
    return moves[:place] + rng.choice("UDLR".replace(moves[place], "")) + moves[place + 1 :]


def reference(moves: str) -> bool:
    return moves.count("U") == moves.count("D") and moves.count("L") == moves.count("R")


register(
    lc_657,
    source="lc_657",
    role="extra",
    valid_lengths=range(1, 51),
    instance=instance,
    reference=reference,
    questions=[
        "A robot goes one step up, down, left or right for each letter U, D, L, R. Is it where it started after all "
        "moves? moves = '{moves}'",
        "Walk on squared paper, one square a letter: U is up, D down, L left, R right. Do you end on the square where "
        "you began? moves = '{moves}'",
        "Is the whole way back to the start made by these steps (U up, D down, L left, R right), so that nothing is "
        "left to go? moves = '{moves}'",
    ],
)

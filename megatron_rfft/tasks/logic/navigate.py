"""Navigate: do the moves lead back to the starting point? The length is the number of moves."""

from random import Random

from megatron_rfft.tasks.registry import register

MOST_STEPS = 9


def navigate(moves):
    x = 0
    y = 0
    dx = 0
    dy = 1
    while moves:
        move = moves.pop(0)
        if move[0] == "walk":
            x += dx * move[1]
            y += dy * move[1]
        elif move[1] == "left":
            dx, dy = -dy, dx
        elif move[1] == "right":
            dx, dy = dy, -dx
        else:
            dx, dy = -dx, -dy
    return x == 0 and y == 0


def instance(rng: Random, length: int) -> tuple:
    """Draw until the answer is the one drawn first: both are equally likely at every length."""
    returns = rng.random() < 0.5
    while True:
        moves = random_moves(rng, length)
        if returns:
            close_walk(rng, moves)
        if reference(moves) == returns:
            return (moves,)


def random_moves(rng: Random, length: int) -> list[list]:
    turns = ["left", "right", "around"]
    return [rng.choice([["turn", rng.choice(turns)], ["walk", rng.randint(1, MOST_STEPS)]]) for _ in range(length)]


def close_walk(rng: Random, moves: list[list]) -> None:
    """Shorten and lengthen walks at random towards the starting point, as far as walks of 1 to MOST_STEPS allow."""
    directions = headings(moves)
    for axis in (1, 1j):
        along = [i for i, direction in enumerate(directions) if direction in (axis, -axis)]
        offset = sum(moves[i][1] * (1 if directions[i] == axis else -1) for i in along)
        rng.shuffle(along)
        for i in along:
            sign = 1 if directions[i] == axis else -1
            steps = min(MOST_STEPS, max(1, moves[i][1] - sign * offset))
            offset += sign * (steps - moves[i][1])
            moves[i][1] = steps


def headings(moves: list[list]) -> list[complex]:
    """For each walk its direction on the complex plane, for each turn 0."""
    direction, result = 1j, []
    for kind, how in moves:
        if kind == "turn":
            direction *= {"left": 1j, "right": -1j, "around": -1}[how]
        result.append(direction if kind == "walk" else 0)
    return result


def reference(moves: list[list]) -> bool:
    return sum(direction * move[1] for direction, move in zip(headings(moves), moves, strict=True) if direction) == 0


register(
    navigate,
    source="bbh_navigate",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Do these moves lead back to where they started? moves = {moves}",
        "Someone makes these moves one after the other, walking straight ahead after each turn. "
        "Is the last position the same as the first? moves = {moves}",
        "If you follow these moves, do you end up at your starting point? moves = {moves}",
    ],
)

"""Find Winner on Tic Tac Toe: how does the game stand? The length is the number of moves."""

from random import Random

from megatron_rfft.tasks.registry import register

LINES = [{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {0, 3, 6}, {1, 4, 7}, {2, 5, 8}, {0, 4, 8}, {2, 4, 6}]


def find_winner_on_tic_tac_toe(moves):
    rows = [0, 0, 0]
    columns = [0, 0, 0]
    diagonal = 0
    antidiagonal = 0
    player = 1
    count = 0
    while moves:
        row, column = moves.pop(0)
        count += 1
        rows[row] += player
        columns[column] += player
        if row == column:
            diagonal += player
        if row + column == 2:
            antidiagonal += player
        if 3 * player in [rows[row], columns[column], diagonal, antidiagonal]:
            if player == 1:
                return "A"
            return "B"
        player = -player
    if count == 9:
        return "Draw"
    return "Pending"


def instance(rng: Random, length: int) -> tuple:
    """From the fifth move on, half of the games end with a winner's move; none goes on after one."""
    is_won = length > 4 and rng.random() < 0.5
    while True:
        moves = [list(divmod(cell, 3)) for cell in rng.sample(range(9), length)]
        if reference(moves[:-1]) == "Pending" and (reference(moves) in ("A", "B")) == is_won:
            return (moves,)


def reference(moves: list[list[int]]) -> str:
    for player, first in (("A", 0), ("B", 1)):
        cells = {3 * row + column for row, column in moves[first::2]}
        if any(line <= cells for line in LINES):
            return player
    return "Draw" if len(moves) == 9 else "Pending"


register(
    find_winner_on_tic_tac_toe,
    source="lc_1275",
    role="pretrain",
    valid_lengths=range(1, 10),  # the board has nine squares
    instance=instance,
    reference=reference,
    questions=[
        "A and B play tic-tac-toe on a board of three rows and columns, numbered from 0. They take turns, A first, and "
        "each move is [row, column]. Answer A or B for the one who has three in a row, column or diagonal, "
        "Draw if the board is full without that, Pending otherwise. moves = {moves}",
        "Two players mark squares of a 3x3 board in turn, A begins; a move names the row and the column, from 0 to 2. "
        "Three own marks in a line (also a diagonal one) win. Has A won, or B, is it a Draw with all squares taken, "
        "or is the game Pending? moves = {moves}",
        "Which of A, B, Draw and Pending describes this game of noughts and crosses? The moves, given as "
        "[row, column] with numbers 0 to 2, are made by A and B in turn, starting with A; Draw means that nobody "
        "has a line and no square is free, Pending that nobody has one yet. moves = {moves}",
    ],
)

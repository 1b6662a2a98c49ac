"""Inventory: what is in a box after moves between boxes? The length is the number of moves."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import OBJECTS


def logic_inventory(boxes, moves, box):
    while moves:
        source, target = moves.pop(0)
        item = boxes[source].pop()
        boxes[target].append(item)
    return boxes[box]


def instance(rng: Random, length: int) -> tuple:
    num_boxes = rng.randint(3, 5)
    boxes = [[] for _ in range(num_boxes)]
    for item in rng.sample(OBJECTS, 2 * num_boxes):
        rng.choice(boxes).append(item)
    sizes = [len(box) for box in boxes]
    moves = []
    for _ in range(length):
        source = rng.choice([i for i, size in enumerate(sizes) if size])
        target = rng.choice([i for i in range(num_boxes) if i != source])
        sizes[source] -= 1
        sizes[target] += 1
        moves.append([source, target])
    return boxes, moves, rng.choice([i for i, size in enumerate(sizes) if size])


def reference(boxes: list[list[str]], moves: list[list[int]], box: int) -> list[str]:
    """Follow each item by its box and the time when it was put there."""
    items = {item: (i, place) for i, content in enumerate(boxes) for place, item in enumerate(content)}
    for time, (source, target) in enumerate(moves, start=len(items)):
        top = max((item for item in items if items[item][0] == source), key=lambda item: items[item][1])
        items[top] = (target, time)
    return sorted((item for item in items if items[item][0] == box), key=lambda item: items[item][1])


register(
    logic_inventory,
    source="logic_inventory",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "The boxes are numbered from 0, each with its content from bottom to top. Each move [from, to] takes the top "
        "item of one box and puts it on top in another. What does box {box} hold in the end, from bottom to top? "
        "boxes = {boxes}, moves = {moves}",
        "Items are moved between boxes numbered from 0: [a, b] moves the last item of box a to the end of box b. "
        "Which items does box {box} hold after all moves, in order? moves = {moves}, boxes = {boxes}",
        "Each list is what lies in a box, the last item uppermost; box 0 comes first. A move [from, to] carries the "
        "uppermost item over. List what is in box {box} afterwards, uppermost last. boxes = {boxes}, moves = {moves}",
    ],
)

"""Circuit: the output of the last gate. The length is the number of gates."""

from random import Random

from megatron_rfft.tasks.registry import register


def logic_circuit(wires, gates):
    while gates:
        gate, left, right = gates.pop(0)
        if gate == "and":
            output = wires[left] and wires[right]
        elif gate == "or":
            output = wires[left] or wires[right]
        else:
            output = not (wires[left] and wires[right])
        wires.append(output)
    return output


def instance(rng: Random, length: int) -> tuple:
    """Draw until the answer is the one drawn first: both are equally likely at every length."""
    answer = rng.random() < 0.5
    while True:
        wires, gates = random_circuit(rng, length)
        if reference(wires, gates) == answer:
            return wires, gates


def random_circuit(rng: Random, length: int) -> tuple[list[bool], list[list]]:
    num_inputs = rng.randint(2, 5)
    gates = []
    for number in range(num_inputs, num_inputs + length):
        # One wire is the last gate's output, so that the answer hangs on a long chain of gates.
        inputs = [number - 1, rng.randrange(number - 1)]
        gates.append([rng.choice(["and", "or", "nand"]), *rng.sample(inputs, 2)])
    return [rng.random() < 0.5 for _ in range(num_inputs)], gates


def reference(wires: list[bool], gates: list[list]) -> bool:
    """Backwards by need: a wire's value from the values of its gate's wires, 1 for True."""
    known = dict(enumerate(map(int, wires)))

    def value(wire: int) -> int:
        if wire not in known:
            gate, left, right = gates[wire - len(wires)]
            ones = value(left) + value(right)
            known[wire] = int(ones in {"and": (2,), "or": (1, 2), "nand": (0, 1)}[gate])
        return known[wire]

    return value(len(wires) + len(gates) - 1) == 1


register(
    logic_circuit,
    source="logic_circuit",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "The wires of a circuit are numbered from 0. Each gate [kind, wire, wire] puts its output on the next new "
        "wire; 'nand' is 'not and'. What is the last gate's output? wires = {wires}, gates = {gates}",
        "At first there are these wires, counted from 0. One gate after the other takes two wires by their numbers "
        "and adds a wire with the result to the end of the list (nand: it is not so that both are True). "
        "What does the last gate give? wires = {wires}, gates = {gates}",
        "Evaluate this circuit. A gate names its kind and the numbers of its two input wires, from 0 on; its own "
        "output gets the next free number, and 'nand' is False for two inputs True only. Is the last output True? "
        "wires = {wires}, gates = {gates}",
    ],
)

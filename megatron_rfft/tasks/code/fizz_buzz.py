"""Fizz Buzz: numbers in a row, with words for multiples. The length is how many numbers there are."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_412(num, count, first, second):
    result = []
    while count:
        if num % first == 0 and num % second == 0:
            result.append("FizzBuzz")
        elif num % first == 0:
            result.append("Fizz")
        elif num % second == 0:
            result.append("Buzz")
        else:
            result.append(num)
        num += 1
        count -= 1
    return result


def instance(rng: Random, length: int) -> tuple:
    first, second = rng.sample(range(2, 8), 2)
    return rng.randint(1, 900), length, first, second


def reference(num: int, count: int, first: int, second: int) -> list:
    words = dict.fromkeys(range(0, num + count, first), "Fizz")
    words |= {n: words.get(n, "") + "Buzz" for n in range(0, num + count, second)}
    return [words.get(n, n) for n in range(num, num + count)]


register(
    lc_412,
    source="lc_412",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "List whole numbers in a row from {num} on, {count} in all, but write 'Fizz' for a multiple of {first}, "
        "'Buzz' for a multiple of {second} and 'FizzBuzz' for a multiple of both.",
        "Count up from {num} and stop when the count of numbers is {count}. Say 'Fizz' instead of each number "
        "that {first} divides, 'Buzz' if {second} does, 'FizzBuzz' if both do. What do you say, as a list?",
        "Children play Fizz Buzz: multiples of {first} are 'Fizz', those of {second} 'Buzz', those of both "
        "'FizzBuzz', and other numbers are themselves. Give the list of the calls from {num} on, {count} in all.",
    ],
)

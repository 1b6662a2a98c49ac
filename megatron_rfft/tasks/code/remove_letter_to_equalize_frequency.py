"""Remove Letter to Equalize Frequency: can one removal make all counts equal? The length is that of the word."""

from collections import Counter
from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def remove_letter_to_equalize_frequency(word):
    size = len(word)
    counts = {}
    largest = 0
    num_largest = 0
    while word:
        letter = word[0]
        word = word[1:]
        counts[letter] = counts.get(letter, 0) + 1
        if counts[letter] > largest:
            largest = counts[letter]
            num_largest = 1
        elif counts[letter] == largest:
            num_largest += 1
    # All once; or one letter too many beside equal counts; or one count, and only one, larger by one.
    if largest == 1 or largest * num_largest == size - 1:
        return True
    return num_largest == 1 and (largest - 1) * len(counts) == size - 1


def instance(rng: Random, length: int) -> tuple:
    """Letters of equal counts and one more, half of the time with one of them changed so that it does not do."""
    answer = rng.random() < 0.5
    while True:
        num_letters = rng.choice([number for number in range(1, 25) if (length - 1) % number == 0])
        *letters, other, third = rng.sample(ascii_lowercase, num_letters + 2)
        extra = other if num_letters == 1 else rng.choice([letters[0], other])
        word = letters * ((length - 1) // num_letters) + [extra]
        rng.shuffle(word)
        if not answer:
            word[rng.randrange(length)] = rng.choice([*letters, other, third])
        if reference("".join(word)) == answer:
            return ("".join(word),)


def reference(word: str) -> bool:
    counts = list(Counter(word).values())
    shortened = ([count - (i == j) for i, count in enumerate(counts)] for j in range(len(counts)))
    return any(len(set(left) - {0}) == 1 for left in shortened)


register(
    remove_letter_to_equalize_frequency,
    source="lc_2423",
    role="pretrain",
    valid_lengths=range(4, 61),  # in shorter words one can always be removed
    instance=instance,
    reference=reference,
    questions=[
        "Is there a letter in '{word}' that can be removed, once and at one place, "
        "so that all letters that are left occur equally often?",
        "Exactly one letter of the word '{word}' has to be struck out. "
        "Can it be chosen so that every letter that still occurs has the same count as the others?",
        "Can you delete one character of '{word}' such that afterwards no letter in it "
        "is more frequent than another letter in it?",
    ],
)

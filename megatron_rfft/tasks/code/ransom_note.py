"""Ransom Note: can a note be cut out of a magazine? The length is the magazine's number of letters."""

from random import Random

from megatron_rfft.tasks.letters import next_letter, random_letters, replace_at
from megatron_rfft.tasks.registry import register


def ransom_note(note, magazine):
    counts = {}
    while magazine:
        counts[magazine[0]] = counts.get(magazine[0], 0) + 1
        magazine = magazine[1:]
    while note:
        if counts.get(note[0], 0) == 0:
            return False
        counts[note[0]] -= 1
        note = note[1:]
    return True


def instance(rng: Random, length: int) -> tuple:
    magazine = random_letters(rng, length)
    note = "".join(rng.sample(magazine, rng.randint(1, length)))
    if rng.random() < 0.5:
        absent = magazine[0]
        while absent in magazine:
            absent = next_letter(absent)
        while reference(note, magazine):  # mostly by a letter that is there, but not often enough
            note = replace_at(note, rng.randrange(len(note)), rng.choice(magazine + absent))
    return note, magazine


def reference(note: str, magazine: str) -> bool:
    return all(note.count(letter) <= magazine.count(letter) for letter in note)


register(
    ransom_note,
    source="lc_383",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Can the note '{note}' be put together from letters cut out of '{magazine}', each of them used once at most?",
        "Every letter of '{magazine}' may be used once. Are there enough of them to write '{note}'?",
        "Does '{magazine}' hold each letter at least as many times as '{note}' needs it?",
    ],
)

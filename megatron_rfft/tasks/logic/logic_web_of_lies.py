"""Web of lies: does the last speaker tell the truth? The length is the number of claims."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import NAMES


def logic_web_of_lies(person, claims):
    honest = [person]
    while claims:
        speaker, person, claim = claims.pop(0)
        true = person in honest
        if claim == "lies":
            true = not true
        if true:
            honest.append(speaker)
    return speaker in honest


def instance(rng: Random, length: int) -> tuple:
    first, *speakers = people = rng.sample(NAMES, length + 1)
    claims = []
    for i, speaker in enumerate(speakers):
        # Mostly about the last speaker, so that the answer hangs on a long chain of claims.
        about = people[i] if rng.random() < 0.7 else rng.choice(people[: i + 1])
        claims.append([speaker, about, rng.choice(["lies", "is honest"])])
    return first, claims


def reference(person: str, claims: list[list[str]]) -> bool:
    """Backwards from the last speaker: an even number of lies on the way to the honest person."""
    about = {speaker: (other, claim == "lies") for speaker, other, claim in claims}
    speaker, lies = claims[-1][0], 0
    while speaker != person:
        speaker, lie = about[speaker]
        lies += lie
    return lies % 2 == 0


register(
    logic_web_of_lies,
    source="logic_web_of_lies",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Everybody either always lies or always tells the truth, and {person} tells the truth. Each claim gives the "
        "speaker, the person spoken about and what is said. Is the last speaker honest? claims = {claims}",
        "{person} is honest. The others either lie in all they say or in nothing; a claim like ['Ann', 'Ben', 'lies'] "
        "means that Ann says that Ben lies. Does the speaker of the last claim tell the truth? claims = {claims}",
        "Liars say only what is false and honest people only what is true. {person} is honest. From these claims "
        "[speaker, person, claim about that person], is the one who speaks last honest? claims = {claims}",
    ],
)

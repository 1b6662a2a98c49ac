"""License Key Formatting: groups of k from the right, in capitals. The length is the length of the string."""

from random import Random
from string import ascii_letters, digits

from megatron_rfft.tasks.letters import replace_at
from megatron_rfft.tasks.registry import register


def license_key_formatting(s, k):
    result = ""
    size = 0
    while s:
        if s[-1] != "-":
            if size == k:
                result = "-" + result
                size = 0
            result = s[-1].upper() + result
            size += 1
        s = s[:-1]
    return result


def instance(rng: Random, length: int) -> tuple:
    characters = ascii_letters + digits
    s = "".join(rng.choices(characters + "-" * 16, k=length))
    return replace_at(s, rng.randrange(length), rng.choice(characters)), rng.randint(2, 6)


def reference(s: str, k: int) -> str:
    key = s.upper().replace("-", "")
    first = len(key) % k
    groups = [key[:first], *(key[start : start + k] for start in range(first, len(key), k))]
    return "-".join(filter(None, groups))


register(
    license_key_formatting,
    source="lc_482",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Take the dashes out of the license key '{s}', write all letters as capitals, and put new dashes so that every "
        "group has {k} characters, except that the first may have fewer. What is the key then?",
        "Format '{s}' anew: without its old dashes, in capitals, and with a dash after every {k} characters counted "
        "from the right, but none at the very beginning.",
        "How does the key '{s}' look in capital letters, regrouped from its end into groups of {k} with a dash between "
        "groups? Only the first group may be shorter, and the old dashes go.",
    ],
)

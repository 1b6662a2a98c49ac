"""Number of Senior Citizens: how many passengers are older than 60? The length is the number of passengers."""

from random import Random

from megatron_rfft.tasks.registry import register


def number_of_senior_citizens(details):
    count = 0
    while details:
        detail = details.pop(0)
        age = int(detail[11:13])
        if age > 60:
            count += 1
    return count


def instance(rng: Random, length: int) -> tuple:
    share = rng.random()  # of seniors, so that any count is as likely as another
    ages = [rng.randint(61, 99) if rng.random() < share else rng.randint(1, 60) for _ in range(length)]
    return ([f"{rng.randrange(10**10):010}{rng.choice('MFO')}{age:02}{rng.randrange(100):02}" for age in ages],)


def reference(details: list[str]) -> int:
    return sum(detail[-4:-2] > "60" for detail in details)


register(
    number_of_senior_citizens,
    source="lc_2678",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Each string describes a passenger by a phone number of 10 digits, a letter, an age of 2 digits and a seat of "
        "2 digits, in this order. How many passengers are over 60? details = {details}",
        "The 12th and 13th characters of each record are a passenger's age. "
        "How many of the ages are more than 60? details = {details}",
        "Count the passengers older than 60. A record holds ten digits of a phone number, one letter, two digits of "
        "the age and two of the seat. details = {details}",
    ],
)

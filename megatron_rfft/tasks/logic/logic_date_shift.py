"""Date shift: which date is it after days forward and back? The length is the number of shifts."""

from datetime import date, timedelta
from random import Random

from megatron_rfft.tasks.registry import register


def logic_date_shift(month, day, shifts):
    days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    while shifts:
        day += shifts.pop(0)
        while day > days[month - 1]:
            day -= days[month - 1]
            month = month % 12 + 1
        while day < 1:
            month = (month - 2) % 12 + 1
            day += days[month - 1]
    return [month, day]


def instance(rng: Random, length: int) -> tuple:
    start = date(2025, 1, 1) + timedelta(days=rng.randrange(365))
    shifts = [rng.choice([-1, 1]) * rng.choice([rng.randint(1, 9), rng.randint(10, 45)]) for _ in range(length)]
    return start.month, start.day, shifts


def reference(month: int, day: int, shifts: list[int]) -> list[int]:
    year_day = (date(2025, month, day).timetuple().tm_yday + sum(shifts) - 1) % 365
    result = date(2025, 1, 1) + timedelta(days=year_day)
    return [result.month, result.day]


register(
    logic_date_shift,
    source="logic_date_shift",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A calendar of years with 365 days (no leap years) shows day {day} of month {month}. It is moved by these "
        "numbers of days, negative ones back. Which date does it show then, as [month, day]? shifts = {shifts}",
        "From day {day} of month {month}, go forward (or back, for negative numbers) by so many days, one shift after "
        "the other. February always has 28 days. Give the date as [month, day]. shifts = {shifts}",
        "A date, day {day} of month {month} in a year that is no leap year, like all years here, is put off by these "
        "numbers of days; a minus means earlier. What is [month, day] in the end? shifts = {shifts}",
    ],
)

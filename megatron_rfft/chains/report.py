"""The command of a chain's report: a line for each arm, curves over what was varied."""

from collections.abc import Collection, Iterator

from megatron_rfft.chains.models import Models

STEPS_TITLE = "steps of adaptation"


def report_command(models: Models, arms: Collection[str]) -> tuple[list[str], list[str]]:
    """Its words, and the evaluations that it shows: those of ``arms``, and of others that happen to be measured.

    If ``arms`` are some of the chain's, all of them are drawn: an arm that is asked for alone is no curve.
    """
    section, evaluations = models.config.report, []
    named = arms if len(arms) < len(models.arms) else ()
    words = ["tools/report.py", "--output", str(models.run / "report")]
    words += ["--title", section.title] if section.title else []
    shown = [name for name in models.arms if name in arms or _is_measured(models, name)]
    for name in shown:
        arm = models.arms[name]
        if not arm.plotted and name not in named:
            continue
        for point, found in _points(models, name, arm.title):
            words += ["--run", point]
            evaluations += found
        words += ["--about", f"{arm.title}={arm.about}"] if arm.about else []
    for title, line, points in _curves(models):
        if not {arm for _, arm, _ in points} <= set(shown):
            continue
        words += ["--curve", title, line]
        for value, arm, step in points:
            for point, found in _points(models, arm, value, step):
                words.append(point)
                evaluations += found
    return [*words, *section.options], list(dict.fromkeys(evaluations))


def _curves(models: Models) -> Iterator[tuple[str, str, list[tuple[str, str, int | None]]]]:
    """Title, line and points of each curve; a point is a value, an arm and a step of its adaptation."""
    for title, lines in models.config.report.curves.items():
        for line, points in lines.items():
            yield title, line, [(value, arm, None) for value, arm in points.items()]
    for name, arm in models.arms.items():
        if steps := models.steps(name):
            yield STEPS_TITLE, arm.title, [(str(step), name, step) for step in steps]


def _points(models: Models, arm: str, name: str, step: int | None = None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """``NAME@SEED=FOLDER,...`` of each of its seeds, and its evaluations."""
    for seed in models.arms[arm].seeds:
        found = models.evaluations(arm, seed, step)
        folders = ",".join(str(models.results(each).parent) for each in found)
        yield f"{name}{'' if len(models.seeds) == 1 else f'@{seed}'}={folders}", found


def _is_measured(models: Models, arm: str) -> bool:
    found = [
        name
        for seed in models.arms[arm].seeds
        for step in (*models.steps(arm), None)
        for name in models.evaluations(arm, seed, step)
    ]
    return all(models.results(name).is_file() for name in found)

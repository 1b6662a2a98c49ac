"""Runs joined over seeds: means, intervals, what does not compare; what is reached beyond the trained lengths."""

import csv
import json

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.evaluation.curves import parse_curves
from megatron_rfft.evaluation.figures import Wording
from megatron_rfft.evaluation.metrics import score_cell, seeds_interval, wilson_interval
from megatron_rfft.evaluation.report import write_report
from megatron_rfft.evaluation.run_folder import format_record, open_run_folder
from megatron_rfft.evaluation.runs import Run, average, beyond_trained, join_seeds, load_run, mean_cells, parse_runs
from tests.conftest import ROOT, run_python
from tests.evaluation.made_up import make_results, traced, write_run


def seeds(name: str, *correct_by_length: dict[int, int], **changes) -> Run:
    """A run with a seed, from 1 on, for each of ``correct_by_length``."""
    runs = {
        seed: Run(name, make_results(correct, model=f"{seed:016x}", **changes))
        for seed, correct in enumerate(correct_by_length, 1)
    }
    return join_seeds(name, runs)


def test_a_joined_cell_is_the_mean_of_its_seeds():
    run = seeds("Meta-RFFT", {2: 20, 8: 20}, {2: 20, 8: 15}, {2: 20, 8: 10})
    cell = run.cells("coin_flip")[8]
    assert (cell["accuracy"], cell["n"], cell["questions"], cell["correct"], cell["wrong"]) == (0.75, 60, 20, 45, 15)
    assert cell["by_seed"] == {"1": 1.0, "2": 0.75, "3": 0.5}
    assert tuple(cell["interval"]) == seeds_interval([1.0, 0.75, 0.5], 20)
    assert tuple(run.cells("coin_flip")[2]["interval"]) == wilson_interval(20, 20)  # seeds that agree
    summary = run.results["tasks"]["coin_flip"]["summary"]
    assert summary["max_len_90_all"] == pytest.approx((8 + 2 + 2) / 3)
    assert run.results["summary"]["accuracy_at_longest"] == 0.75
    assert run.results["timing"]["answers"] == 180
    assert [part["model"]["sha256"] for part in run.results["seeds"].values()] == [f"{s:016x}" for s in (1, 2, 3)]


def test_errors_of_all_seeds_are_counted():
    runs = {}
    for seed, (kind, iterations) in enumerate((("copy error", 3), ("wrong update", 1)), 1):
        results = make_results({1: 20}, model=f"{seed:016x}")
        record = traced({"kind": kind, "line": 3, "expected": "a", "got": "b"}, "wrong")
        record["trace"]["iterations"] = iterations
        results["tasks"]["coin_flip"]["cells"] = {"5": score_cell([record] * 4)}
        runs[seed] = Run("a", results)
    steps = join_seeds("a", runs).cells("coin_flip")[5]["steps"]
    assert steps["kinds"] == {"copy error": 4, "wrong update": 4}
    loops = steps["iterations"]
    assert (loops["mean"], loops["true_mean"], loops["fewer"], loops["equal"]) == (2.0, 3.0, 4, 4)
    assert loops["relative_error_by_seed"] == {"1": 0.0, "2": pytest.approx(2 / 3)}
    assert loops["relative_error"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"form": "rule"}, "differ in form"),
        ({"n": 10}, "differ in samples"),
        ({"model": f"{1:016x}"}, "are the same model"),
        ({"task": "length_int"}, "do not compare: the number of questions of coin_flip by length is .* None in the"),
        ({"trained": (1, 2)}, r"the trained lengths of coin_flip is \[1, 2, 3\] in one, \[1, 2\] in the other"),
        ({"correct_by_length": {1: 5}}, "the number of questions of coin_flip by length is"),
    ],
)
def test_seeds_that_do_not_compare_are_refused(other, message):
    first = Run("a", make_results({1: 8, 5: 8}, model=f"{1:016x}"))
    second = Run("a", make_results(**{"correct_by_length": {1: 8, 5: 8}, "model": f"{2:016x}", **other}))
    with pytest.raises(UserError, match=message):
        join_seeds("a", {1: first, 2: second})


def test_runs_that_do_not_compare_are_refused(tmp_path):
    first, other = make_results({1: 8}), make_results({1: 8})
    other["tasks"]["coin_flip"]["version"] = 2
    with pytest.raises(UserError, match="'a' answered version 1 of coin_flip, 'b' version 2"):
        write_report([Run("a", first), Run("b", other)], tmp_path, Wording())
    other["settings"]["split"] = "validation"
    with pytest.raises(UserError, match="'a' answered the split test, 'b' validation"):
        write_report([Run("a", first), Run("b", other)], tmp_path, Wording())
    assert not list(tmp_path.iterdir())


def two_tasks(tmp_path, first: dict[int, int], second: dict[int, int], name="a", trained=(1, 2, 3)) -> Run:
    folders = [tmp_path / name / task for task in ("coin_flip", "length_int")]
    for folder, correct in zip(folders, (first, second), strict=True):
        write_run(folder, make_results(correct, task=folder.name, trained=trained))
    return load_run(name, *folders)


def test_an_evaluation_with_a_task_s_old_name(tmp_path):
    before = load_run("before", write_run(tmp_path / "before", make_results({2: 20}, task="lc_412")))
    after = load_run("after", write_run(tmp_path / "after", make_results({2: 20}, task="fizz_buzz")))
    assert before.results["settings"] == after.results["settings"]
    assert before.results["tasks"] == after.results["tasks"]

    record = {"id": "lc_412-v2-test-5-0-lean", "task": "lc_412"}
    asked = {"tasks": {"lc_412": 2}, "lengths": {"lc_412": [5]}}
    with open_run_folder(tmp_path / "run", asked) as folder, folder.open_for_append() as handle:
        handle.write(format_record(record))
    with open_run_folder(tmp_path / "run", {"tasks": {"fizz_buzz": 2}, "lengths": {"fizz_buzz": [5]}}) as folder:
        assert list(folder.read_generations()) == ["fizz_buzz-v2-test-5-0-lean"]


def test_means_over_tasks_take_lengths_that_all_tasks_have(tmp_path):
    run = two_tasks(tmp_path, {2: 20, 4: 10, 6: 0}, {2: 10, 4: 20})
    means = mean_cells(run, ["coin_flip", "length_int"])
    assert {length: (cell["accuracy"], cell["n"]) for length, cell in means.items()} == {2: (0.75, 40), 4: (0.75, 40)}
    assert tuple(means[2]["interval"]) == wilson_interval(30, 40)
    assert mean_cells(run, ["coin_flip", "add_int"]) == {}


def test_an_average_gives_each_task_the_same_weight(tmp_path):
    run = two_tasks(tmp_path, {4: 20, 6: 10, 8: 0}, {4: 20})
    cell = average(run, {"coin_flip": [4, 6, 8], "length_int": [4]})
    assert (cell["accuracy"], cell["n"], cell["questions"]) == (0.75, 80, 80)


def test_beyond_the_trained_lengths(tmp_path):
    adapted = two_tasks(tmp_path, {2: 20, 4: 20, 6: 18}, {2: 20, 4: 19}, "adapted")
    zero_shot = two_tasks(tmp_path, {2: 20, 4: 0, 6: 0}, {2: 20, 4: 18}, "zero-shot", trained=())
    found = beyond_trained([adapted, zero_shot])
    assert found["lengths"] == {"coin_flip": [4, 6], "length_int": [4]}
    assert found["tasks"]["coin_flip"]["adapted"]["accuracy"] == 0.95
    assert found["mean"]["zero-shot"]["accuracy"] == pytest.approx((0 + 0.9) / 2)
    assert found["overlapping"] == {"coin_flip": [], "length_int": [["adapted", "zero-shot"]]}
    assert beyond_trained([zero_shot]) is None
    assert beyond_trained([Run("a", make_results({1: 3, 2: 4}))]) is None


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """The command's report of two runs of three seeds on two tasks each, and its folder of evaluations."""
    folder = tmp_path_factory.mktemp("seeded")
    arguments = []
    for name, form in (("Meta-RFFT", "lean"), ("direct answer", "direct")):
        for seed in (3, 1, 2):
            parts = []
            for task in ("coin_flip", "length_int"):
                correct = {2: 20, 8: 20 - seed} if form == "lean" else {2: 20, 8: 0}
                path = folder / name / str(seed) / task
                model = f"{seed}{task}{form}".encode().hex()
                parts.append(write_run(path, make_results(correct, task=task, form=form, model=model)))
            arguments += ["--run", f"{name}@{seed}={','.join(map(str, parts))}"]
    arguments += ["--title", "Longer than trained", "--subtitle", "Two <tasks>", "--unit", "number of flips"]
    arguments += ["--task-title", "coin_flip=Heads or tails?", "--about", "Meta-RFFT=RF-pretrained on other rules"]
    arguments += ["--curve", "steps", "Meta-RFFT"]
    arguments += [f"{value}@{s}={folder / name / str(s) / 'coin_flip'}" for s in (1, 2) for value, name in STEPS]
    run_python(ROOT / "tools/report.py", *arguments, "--output", folder / "report")
    return folder


STEPS = (("0", "direct answer"), ("all", "Meta-RFFT"))


def test_the_command_joins_seeds_tasks_and_curves(seeded):
    report = json.loads((seeded / "report/results.json").read_text())
    run = report["runs"]["Meta-RFFT"]
    assert list(run["seeds"]) == ["1", "2", "3"]
    cell = run["tasks"]["length_int"]["cells"]["8"]
    assert (cell["n"], cell["questions"], cell["accuracy"]) == (60, 20, pytest.approx(0.9))
    assert cell["by_seed"] == {"1": 0.95, "2": 0.9, "3": 0.85}
    mean = report["means"]["Meta-RFFT"]["8"]
    assert (mean["questions"], mean["by_seed"]) == (40, pytest.approx(cell["by_seed"]))
    assert mean["interval"] == pytest.approx(seeds_interval([0.95, 0.9, 0.85], 40))
    assert report["beyond_trained"]["overlapping"] == {"coin_flip": [], "length_int": []}
    points = report["curves"]["steps"]["Meta-RFFT"]
    assert {value: point["accuracy"] for value, point in points.items()} == {"0": 0.0, "all": pytest.approx(0.925)}
    assert {"curves.png", "curves.svg", "curves.csv", "accuracy.svg"} <= report["files"].keys()


def test_the_page_tells_a_stranger(seeded):
    page = (seeded / "report/report.html").read_text()
    for text in (
        "Two &lt;tasks&gt;",
        "Heads or tails?",
        "RF-pretrained on other rules",
        "number of flips",
        "mean of the 2 tasks",
        "<small>3 seeds</small>",
        "<br><small>95 · 90 · 85</small>",
        "The intervals of all runs are apart on every task.",
        "20 fresh questions per point, greedy decoding. Mean of 3 seeds",
        "model, seed 3",
        "mean of 3 seeds",
    ):
        assert text in page
    picture = (seeded / "report/accuracy.svg").read_text()
    assert "Longer than trained" in picture
    assert "RF-pretrained on other rules" in picture


def test_tables_carry_seeds_and_intervals(seeded):
    with open(seeded / "report/results.csv", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if (row["run"], row["length"]) == ("Meta-RFFT", "8")]
    assert [(row["seed"], row["n"]) for row in rows[:4]] == [("mean", "60"), ("1", "20"), ("2", "20"), ("3", "20")]
    assert [float(row["accuracy"]) for row in rows[:4]] == pytest.approx([0.9, 0.95, 0.9, 0.85])
    low, high = seeds_interval([0.95, 0.9, 0.85], 20)
    assert (float(rows[0]["low_95"]), float(rows[0]["high_95"])) == pytest.approx((low, high))
    text = (seeded / "report/report.md").read_text()
    assert f"| Meta-RFFT | 3 | 100 [84–100] | 90 [{100 * low:.0f}–{100 * high:.0f}] | 6 |" in text
    assert "## coin_flip: Heads or tails?" in text
    assert "| **Meta-RFFT** | mean of 3 seeds | 90 % at 8 |" in text
    with open(seeded / "report/curves.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["value"], row["seed"], row["questions"]) for row in rows][3:] == [
        ("all", "mean", "20"),
        ("all", "1", "20"),
        ("all", "2", "20"),
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folders")
    return [
        write_run(folder / "0", make_results({1: 3, 5: 3})),
        write_run(folder / "1", make_results({1: 3, 5: 3}, model="f" * 16)),
        write_run(folder / "2", make_results({1: 3})),
        write_run(folder / "3", make_results({1: 3, 5: 3}, task="length_int")),
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a@1={0}", "a={1}"], "--run names 'a' with a seed and without"),
        (["a@1={0}", "a@1={1}"], "names 'a' with seed 1 twice"),
        (["a={0}", "a={1}"], "names 'a' twice"),
        (["a"], "--run 'a' is not NAME=DIR"),
    ],
)
def test_wrong_runs_are_named(folders, texts, message):
    with pytest.raises(UserError, match=message):
        parse_runs("--run", [text.format(*folders) for text in texts])


def test_a_name_may_hold_what_separates_others(folders):
    (run,) = parse_runs("--run", [f"Qwen@7B, 2 @ a time={folders[0]}"])
    assert (run.name, run.seeds) == ("Qwen@7B, 2 @ a time", [])


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "wants a title, a line's name and VALUE=DIR"),
        (["0"], "--curve 'steps' '0' is not NAME=DIR"),
        (["0={2}"], "beyond its trained lengths"),
        (["0={0}", "1={3}"], "are on other tasks"),
    ],
)
def test_wrong_curves_are_named(folders, points, message):
    with pytest.raises(UserError, match=message):
        parse_curves([["steps", "a", *(point.format(*folders) for point in points)]])


def test_lines_of_one_title_are_one_curve(folders):
    groups = [["steps", name, f"0={folders[0]}", f"60={folders[1]}"] for name in ("a", "b")]
    (curve,) = parse_curves([*groups])
    assert (curve.values, [line.name for line in curve.lines]) == (["0", "60"], ["a", "b"])
    assert curve.lengths == {"coin_flip": [5]}
    with pytest.raises(UserError, match="has two lines 'a'"):
        parse_curves([groups[0], groups[0]])


def test_words_for_what_is_not_there_are_refused(folders, tmp_path):
    for option, text in (("--about", "b=text"), ("--task-title", "coin_flip")):
        arguments = ("--run", f"a={folders[0]}", option, text, "--output", tmp_path / "report")
        done = run_python(ROOT / "tools/report.py", *arguments, check=False)
        assert (done.returncode, f"{option} {text!r} does not begin with one of" in done.stderr) == (2, True)
        assert not (tmp_path / "report").exists()

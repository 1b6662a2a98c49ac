"""The report: self-contained, complete, the same for the same numbers."""

import csv
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.manifest import verify_manifest
from megatron_rfft.evaluation.figures import Wording, format_lengths, trained_spans
from megatron_rfft.evaluation.metrics import score_cell, summarize_task
from megatron_rfft.evaluation.report import write_report
from megatron_rfft.evaluation.runs import Run, load_run
from megatron_rfft.pages.style import run_color, run_marker
from tests.conftest import ROOT, run_python
from tests.evaluation.made_up import make_results, traced, write_run
from tests.pages.references import references


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    runs = [
        Run("follows the rule", make_results({1: 20, 3: 19, 5: 13})),
        Run("answers directly", make_results({1: 18, 3: 7, 5: 0}, trained=(1, 2))),
        Run("elsewhere", make_results({2: 4, 8: 1}, trained=(), task="length_int")),
    ]
    write_report(runs, folder, Wording("Title & more"))
    return folder


def test_the_page_is_self_contained(report):
    assert references((report / "report.html").read_text()) == []


def test_the_page_holds_the_numbers(report):
    page = (report / "report.html").read_text()
    assert "<td>65 <small>[43.3–81.9]</small></td><td>7</td><td>0</td><td>20</td>" in page  # 13 of 20
    for text in (
        "Title &amp; more",
        "follows the rule",
        "answers directly",
        "elsewhere",
        "0123456789ab",
        "transformers 5",
    ):
        assert text in page
    assert "Q: &lt;b&gt;?" in page
    assert "1 &lt; 2 &amp; so" in page
    assert page.count("<svg") == 2 + 3  # a panel for each task, a heat map for each run
    assert "prefers-color-scheme: dark" in page


def test_panels_take_the_pages_colours(report):
    svg = re.search(r"<svg.*?</svg>", (report / "report.html").read_text(), re.DOTALL)[0]
    assert "var(--run-0)" in svg
    assert re.findall(r"#[0-9a-f]{6}\b", svg) == []


@pytest.fixture(scope="module")
def traced_report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traced")
    error = {"kind": "wrong update", "line": 3, "expected": "now, x = 2", "got": "now, x = <2>"}
    records = [traced(error, "wrong")] * 3 + [traced(error, "correct")] + [traced(None, "correct")] * 6
    results = make_results({1: 20})
    task = results["tasks"]["coin_flip"]
    task["cells"]["5"] = score_cell(records)
    task["samples"]["failed"] = records[0]
    task["summary"] = summarize_task({int(length): cell for length, cell in task["cells"].items()})
    write_report([Run("follows | it", results), Run("other", make_results({1: 9, 5: 2}))], folder, Wording("T"))
    return folder


def test_errors_are_drawn_and_shown(traced_report):
    page = (traced_report / "report.html").read_text()
    bars = re.findall(r"<g><title>(.*?)</title>\s*<path d=\"(.*?)\"", page, re.DOTALL)
    assert [text for text, _ in bars] == [
        "wrong update: 3 of 10 at length 5",
        "wrong trace, right answer: 1 of 10 at length 5",
    ]
    edges = [[float(y) for _, y in re.findall(r"[ML] ([\d.]+) ([\d.]+)", path)] for _, path in bars]
    heights = [max(ys) - min(ys) for ys in edges]
    assert heights[0] == pytest.approx(3 * heights[1], abs=0.02)
    assert page.count("First errors of") == 1  # the other run gives no traces
    rows = re.findall(r'<tr class="(same|first|after)"><td>(\d*)</td><td>(.*?)</td><td>(.*?)</td></tr>', page)
    assert rows == [
        ("same", "1", "1. Initialize", "1. Initialize"),
        ("same", "2", "x = 1", "x = 1"),
        ("first", "3", "now, x = &lt;2&gt;", "now, x = 2"),
        ("after", "4", "return x", ""),
        ("same", "", "", "(an older version kept no more of it)"),
    ]
    # Passes through loops: done, true, too few, right, too many, relative error.
    assert "<td>2.0</td><td>3.0</td><td>10</td><td>0</td><td>0</td><td>33.3 %</td>" in page


def test_the_papers_figures_are_named_as_its(traced_report):
    page = (traced_report / "report.html").read_text()
    assert "the paper's figures, not measured here" in page
    assert "not the paper's questions: 1 task, lengths 1 to 5, 20 questions" in page


def test_numbers_for_other_programs(traced_report):
    with open(traced_report / "results.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["run"], row["length"]) for row in rows] == [
        ("follows | it", "1"),
        ("follows | it", "5"),
        ("other", "1"),
        ("other", "5"),
    ]
    assert (rows[1]["accuracy"], rows[1]["wrong update"], rows[1]["iterations_fewer"]) == ("0.7", "3", "10")
    assert rows[3]["wrong update"] == ""
    text = (traced_report / "report.md").read_text()
    assert "| follows \\| it | 100 | 70 | 1 |" in text
    assert "| follows \\| it | 3 wrong update; 1 wrong trace, right answer |" in text
    assert (traced_report / "accuracy.svg").read_text().count("<svg") == 1


def test_more_runs_than_colours_can_be_told_apart(tmp_path):
    results = make_results({1: 20, 3: 10})
    write_report([Run(f"run {i}", results) for i in range(13)], tmp_path, Wording("T"))
    assert "run 12" in (tmp_path / "report.html").read_text()
    looks = {(run_color(i), run_marker(i)) for i in range(13)}
    assert len(looks) == 13


def test_files_are_named_and_whole(report):
    merged = json.loads((report / "results.json").read_text())
    pictures = {"accuracy.png", "accuracy.svg", "accuracy_coin_flip.png", "accuracy_length_int.png"}
    assert set(merged["files"]) == {"report.html", "report.md", "results.csv", *pictures}
    assert verify_manifest(report / "results.json", "report") == []
    assert merged["runs"]["follows the rule"]["tasks"]["coin_flip"]["cells"]["5"]["correct"] == 13
    assert (report / "accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_equal_numbers_give_equal_bytes(report, tmp_path):
    runs = [Run("a", make_results({1: 20, 3: 10}))]
    first = write_report(runs, tmp_path / "1", Wording("T"))
    assert write_report(runs, tmp_path / "2", Wording("T")) == first


def test_the_command_makes_the_report_of_finished_runs(tmp_path):
    write_run(tmp_path / "run", make_results({1: 20, 3: 10}))
    tool, output = ROOT / "tools/report.py", tmp_path / "report"
    done = run_python(tool, "--run", f"one={tmp_path / 'run'}", "--output", output)
    assert str(output / "report.html") in done.stdout.splitlines()
    for wrong, message in ((f"one={tmp_path}", "no finished evaluation"), ("one", "NAME=DIR")):
        done = run_python(tool, "--run", wrong, "--output", output, check=False)
        assert done.returncode == 2
        assert message in done.stderr


def test_a_run_may_have_a_model_for_each_task(tmp_path):
    write_run(tmp_path / "a", make_results({1: 20, 3: 10}))
    write_run(tmp_path / "b", make_results({1: 20, 3: 20}, task="length_int"))
    write_run(tmp_path / "c", make_results({1: 20}, task="length_int", form="rule"))
    folders = f"both={tmp_path / 'a'},{tmp_path / 'b'}"
    run_python(ROOT / "tools/report.py", "--run", folders, "--output", tmp_path / "report")
    merged = json.loads((tmp_path / "report/results.json").read_text())["runs"]["both"]
    assert merged["summary"] == {"max_len_90_any": 2.0, "max_len_90_all": 2.0, "accuracy_at_longest": 0.75}
    assert merged["timing"]["answers"] == 120
    page = (tmp_path / "report/report.html").read_text()
    assert "for coin_flip: tiny (sha256 0123456789ab); for length_int: tiny (sha256 0123456789ab)" in page
    for others, message in (("ac", "differ in form"), ("aa", "is in two evaluations"), ("ad", "no such file")):
        with pytest.raises(UserError, match=message):
            load_run("both", *(tmp_path / other for other in others))


def test_runs_that_cannot_be_told_apart_are_refused(tmp_path):
    run = Run("a", make_results({1: 20}))
    with pytest.raises(UserError, match="same name"):
        write_report([run, run], tmp_path, Wording("T"))
    with pytest.raises(UserError, match="no such file"):
        load_run("a", tmp_path)


def test_trained_spans():
    assert trained_spans([1, 2, 3, 7, 8], measured=[2, 5, 8]) == [(1, 3), (7, 8)]
    assert trained_spans([2, 4, 6], measured=[2, 4, 6, 8]) == [(2, 6)]
    assert trained_spans([], measured=[1]) == []


@given(st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # slow is a machine with much else to do
def test_trained_spans_hold_all_trained_and_no_other_measured_length(trained, measured):
    spans = trained_spans(sorted(trained), sorted(measured))
    covered = {length for first, last in spans for length in range(first, last + 1)}
    assert trained <= covered
    assert not covered & (measured - trained)


def test_lengths_in_short():
    assert format_lengths([1, 2, 3]) == "1–3"
    assert format_lengths([2, 4, 6]) == "2–6:2"
    assert format_lengths([3]) == "3"
    assert format_lengths([1, 2, 9]) == "1,2,9"

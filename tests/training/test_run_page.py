"""The page about training runs: complete, self-contained, honest about what a run did not log."""

import json
import re
import subprocess
import sys
from itertools import pairwise

import pytest

from megatron_rfft.commands import report
from megatron_rfft.common.errors import UserError
from megatron_rfft.training.history import read_history
from megatron_rfft.training.run_page import write_run_page
from megatron_rfft.training.timeline import Event, duration, timeline
from tests.conftest import ROOT, run_python
from tests.pages.references import references
from tests.training.made_up_run import BEGAN, write_run


def page_of(*folders, **more) -> str:
    page = folders[0] / "training.html"
    write_run_page([read_history(folder.name, folder) for folder in folders], page, **more)
    return page.read_text()


def missing(page: str) -> dict[str, str]:
    """What the page says it does not show, and why."""
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))


def titles(page: str) -> list[str]:
    return re.findall(r"<figure><h3>(.*?)</h3>", page)


def test_the_page_shows_what_was_logged_and_says_what_was_not(tmp_path):
    page = page_of(write_run(tmp_path / "run"))
    assert references(page) == []
    assert titles(page) == ["loss", "learning rate", "gradient norm", "tokens per second"]
    assert (
        missing(page).items()
        >= {
            "validation loss": "no validation data (validation.data)",
            "MFU": "the peak of its device is not known (logging.peak_tflops)",
            "GPU memory, GiB": "no GPU",
            "slowest rank / median": "one rank, or not measured",
        }.items()
    )
    head = re.search(r"<table.*?</table>", page, re.DOTALL)[0]
    assert re.findall(r"<th>(.*?)</th>", head) == ["run", "step", "loss", "tokens/s", "goodput", "restarts", "left"]
    assert re.findall(r"<td>(.*?)</td>", head) == ["40 of 60", "0.125", "1,234", "80.0 %", "0", "40 s"]
    assert "GiB</td>" not in page
    assert 'title="checkpoints: 8 s"' in page
    assert "http-equiv" not in page
    assert 'http-equiv="refresh" content="7"' in page_of(tmp_path / "run", refresh=7)


def test_a_run_on_a_gpu_with_validation_shows_those(tmp_path):
    run = write_run(tmp_path / "run", mfu=0.51, memory_gib=68.25)
    rows = [{"step": 20, "loss": 0.5, "best_loss": 0.5, "best_step": 20, "waited": 0}]
    rows.append({"step": 40, "loss": None, "best_loss": 0.5, "best_step": 20, "waited": 1, "stopped": "early stop: 1"})
    (run / "validation.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (run / "ranks.jsonl").write_text('{"step": 30, "rank": 1, "ratio": 1.2}\n')
    page = page_of(run)
    assert titles(page)[-2:] == ["GPU memory, GiB", "slowest rank / median"]
    assert {"validation loss", "MFU"} < set(titles(page))
    assert "<td>0.5 at 20</td><td>1,234</td><td>51.0 %</td><td>68.2 GiB</td>" in page
    assert "step 40 of 60, early stop: 1" in page
    assert "best validation loss: 0.5" in page
    assert missing(page).keys() == {"folder"}


def test_losses_by_task_and_length_are_means_over_target_tokens(tmp_path):
    history = read_history("run", write_run(tmp_path / "run"))
    assert list(history.losses.bounds) == [(1, 10), (11, 20), (21, 30), (31, 40)]
    assert history.means[40] == pytest.approx((0.1 * 30 + 0.2 * 10) / 40)
    by_length = history.losses.mean(lambda at, task, length: length if at == 3 else None)
    assert by_length == {1: (pytest.approx(0.1), 60), 12: (pytest.approx(0.2), 20)}
    page = page_of(tmp_path / "run")
    assert "<title>coin_flip, up to step 40: 0.125 over 40 target tokens</title>" in page
    assert "<title>12, up to step 10: 0.8 over 20 target tokens</title>" in page
    assert "<title>length_int, length 12: 0.2 over 10 target tokens</title>" in page


def test_a_long_run_is_put_together_in_bins_that_hold_every_line(tmp_path):
    history = read_history("run", write_run(tmp_path / "run", last=1000, steps=1000))
    bounds = history.losses.bounds
    assert (len(bounds), bounds[0][0], bounds[-1][1]) == (24, 1, 1000)
    assert all(before[1] + 1 == after[0] for before, after in pairwise(bounds))
    assert sum(tokens for _, tokens in history.losses.sums.values()) == 100 * 2 * 40
    assert history.finished == "finished"


@pytest.mark.parametrize(
    ("stopped", "ended", "went_on"),
    [
        ("SIGUSR1", (20, "stopped by SIGUSR1"), "start 2 went on after step 20, 5 min after the last line before it"),
        (
            "",
            (25, "start 1 ended without a word: it was killed, it failed, or a node was lost"),
            "start 2 went on after step 20, 5 min after the last line before it; 5 steps were done again",
        ),
    ],
)
def test_starts_and_what_ended_them_are_told(tmp_path, stopped, ended, went_on):
    run = write_run(tmp_path / "run", restart_at=20, stopped=stopped)
    by_slurm = Event(BEGAN + 60, None, "Slurm <says>", trouble=True)
    events = timeline(read_history("run", run), [by_slurm])
    assert [(event.step, event.text) for event in events] == [
        (0, "first step"),
        ended,
        (None, "Slurm <says>"),
        (20, went_on),
    ]
    page = page_of(run, events={"run": [by_slurm]})
    assert "Slurm &lt;says&gt;" in page
    assert f"<title>{went_on}</title>" in page  # of its mark in the plot
    assert "between two starts 5 min" in page


def test_skipped_updates_are_told_of_and_counted(tmp_path):
    run = write_run(tmp_path / "run")
    rows = [{"step": step, "reason": "not a number", "batch": []} for step in range(1, 31)]
    (run / "skipped.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    told = [event.text for event in timeline(read_history("run", run)) if "skipped" in event.text]
    assert (len(told), told[0], told[-1]) == (
        9,
        "the update of step 1 was skipped: not a number",
        "22 more updates were skipped",
    )


def test_a_line_that_is_being_written_is_left_out_and_a_broken_one_counted(tmp_path):
    run = write_run(tmp_path / "run")
    whole = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(f'{whole}{{"step": 50, "lo')
    assert read_history("run", run).step == 40
    assert "could not be read" not in page_of(run)
    (run / "metrics.jsonl").write_bytes(whole.encode() + b"\0\0\xff\n[1]\n")
    assert "2 lines of metrics.jsonl could not be read" in page_of(run)


def test_a_run_without_a_line_and_an_old_one_have_pages_too(tmp_path):
    run = write_run(tmp_path / "run", last=0)
    page = page_of(run)
    assert "no step is on record yet" in page
    assert set(missing(page).values()) == {"no line is on record yet", "no validation data (validation.data)", str(run)}
    old = write_run(tmp_path / "old", wall=None, time=None, goodput=None)
    (old / "losses.jsonl").unlink()
    told = missing(page_of(old))
    assert told["where the time went, and when"] == "written by a version that did not measure it"
    assert told["losses by task and length"] == "losses.jsonl is not there, or empty"


def test_numbers_that_are_none_leave_a_gap(tmp_path):
    run = write_run(tmp_path / "run")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows[1] |= {"loss": None, "grad_norm": None}
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (run / "losses.jsonl").unlink()
    assert titles(page_of(run))[:3] == ["loss", "learning rate", "gradient norm"]


def test_names_from_files_cannot_break_the_page(tmp_path):
    page = page_of(write_run(tmp_path / "<i>&", tasks=("<script>x</script>", "a+rename=0.3", "b")))
    assert "<script>" not in page
    assert "<i>" not in page
    assert "Training: &lt;i&gt;&amp;" in page
    assert "<title>a, up to step 40" in page  # settings of tasks are left out where names stay apart


def test_several_runs_share_a_page(tmp_path):
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two", mfu=0.5, restart_at=30)
    page = page_of(one, two)
    assert missing(page)["MFU of one"].startswith("the peak of its device")
    assert page.count("<details open>") == 1
    assert re.findall(r'<td class="run-\d"><span class="dot"></span>(.*?)</td>', page) == ["one", "two"]
    assert "<td>–</td>" in page


def test_the_command_writes_a_page_without_torch(tmp_path):
    run = write_run(tmp_path / "run", last=60)
    code = (
        "import sys; from megatron_rfft.commands.report import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    )
    done = run_python("-c", code, "--training", run, "--follow", "--title", "A & B")
    assert done.stdout.splitlines() == [str(run / "training.html"), "False"]
    page = (run / "training.html").read_text()
    assert "<h1>A &amp; B</h1>" in page
    assert "http-equiv" not in page  # nobody writes it again
    assert [path.name for path in run.glob("*.tmp")] == []


def test_a_page_follows_a_run_until_it_is_finished(tmp_path, monkeypatch, capsys):
    run = write_run(tmp_path / "run", last=50)
    seen = []

    def trains_on(seconds: float) -> None:
        seen.append((seconds, (run / "training.html").read_text()))
        row = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
        with (run / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({**row, "step": row["step"] + 5}) + "\n")

    monkeypatch.setattr(report.time, "sleep", trains_on)
    report.main(["--training", f"mine={run}", "--follow", "9", "--json"])
    assert [re.search(r"step \d+ of 60", page)[0] for _, page in seen] == ["step 50 of 60", "step 55 of 60"]
    assert all(seconds >= 9 and 'content="9"' in page for seconds, page in seen)
    assert "step 60 of 60, finished" in (run / "training.html").read_text()
    assert json.loads(capsys.readouterr().out)["mine"]["step"] == 60


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--training", "nowhere"], "no such directory: nowhere; give the folder of a training run"),
        (["--training", "."], "no such file: config.yaml; give the folder of a training run"),
        (["--training", "a=.", "a=."], "names a run twice"),
        (["--training", ".", "--unit", "digits"], "--unit goes with --run; leave it out"),
        (["--training", ".", "--follow", "0"], "--follow is 0; give 1 or more"),
        (["--run", "a=b", "--follow", "3", "--output", "x"], "--follow goes with --training; leave it out"),
        (["--run", "a=b"], "--output is not given"),
    ],
)
def test_wrong_input_is_one_clear_error(tmp_path, options, expected, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape(expected)):
        report.main(options)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_exits_with_2_and_one_line():
    command = [sys.executable, str(ROOT / "tools/report.py"), "--training", "nowhere"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_durations_in_words():
    assert [duration(seconds) for seconds in (0, 95, 840, 18720, 267840)] == [
        "0 s",
        "95 s",
        "14 min",
        "5.2 h",
        "3.1 days",
    ]

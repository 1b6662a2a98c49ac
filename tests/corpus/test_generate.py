"""The generate command: the same bytes however it gets there, and clear refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.manifest import verify_manifest
from megatron_rfft.common.restart import Part, Work
from megatron_rfft.corpus import (
    CorpusConfig,
    corpus_config,
    corpus_manifest,
    generate_corpus,
    parse_tasks,
    read_records,
)
from megatron_rfft.corpus.verify import verify_corpus
from megatron_rfft.rules import Rule
from megatron_rfft.tasks import load_task
from tests.conftest import ROOT, run_python

COMMAND = "data_prep/generate.py"
SMALL = CorpusConfig({"coin_flip": [1, 2, 3], "length_int": [1, 4]}, samples=40, num_shards=3)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    generate_corpus(SMALL, folder)
    return folder


def test_files_and_manifest(small):
    shards = [f"shard-0000{n}-of-00003.jsonl" for n in range(3)]
    assert sorted(contents(small)) == ["manifest.json", *shards]
    assert verify_manifest(small / "manifest.json", "corpus") == []
    manifest = corpus_manifest(small)
    assert list(manifest["files"]) == shards
    assert manifest["config"]["tasks"]["coin_flip"]["lengths"] == [1, 2, 3]
    counts = manifest["counts"]
    assert counts["cells"] == {"coin_flip": {"1": 40, "2": 40, "3": 40}, "length_int": {"1": 8, "4": 40}}
    assert counts["smaller_cells"] == {"length_int": {"1": 8}}
    assert counts["records"] == 168


def test_records_are_the_examples_mixed_and_distinct(small):
    records = list(read_records(small))
    assert Counter((r["task"], r["length"]) for r in records)["length_int", 1] == 8
    for record in records[::10]:
        example = load_task(record["task"]).example(record["length"], "train", record["index"], "rule")
        assert record == example.record()
    assert len({(r["task"], r["length"], json.dumps(r["arguments"])) for r in records}) == 168
    for start in range(0, 160, 40):  # every stretch holds tasks and lengths in their proportions
        stretch = Counter((r["task"], r["length"]) for r in records[start : start + 40])
        assert all(7 <= stretch[cell] <= 12 for cell in [("coin_flip", 2), ("coin_flip", 3), ("length_int", 4)])


def test_duplicates_are_left_out_and_made_up_for(tmp_path):
    counts = generate_corpus(CorpusConfig({"get_digit_int": [3]}, samples=900), tmp_path)["counts"]
    records = [json.dumps(record["arguments"]) for record in read_records(tmp_path)]
    assert len(set(records)) == len(records) == counts["records"] == 900
    assert counts["duplicates"] > 50


def test_the_bytes_do_not_depend_on_workers(small, tmp_path):
    tasks = "coin_flip:1-3,length_int:1,4"
    options = ("--samples", 40, "--num-shards", 3, "--workers", 2, "--json")
    done = run_python(COMMAND, "--tasks", tasks, *options, "--output", tmp_path)
    assert contents(tmp_path) == contents(small)
    assert json.loads(done.stdout)["records"] == 168


def test_rules_that_answer_otherwise_in_their_traces_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(Rule, "run", lambda rule, *arguments: "another")
    with pytest.raises(UserError, match="rule length_int answers 2 in a trace and 'another' when it is run, on"):
        generate_corpus(CorpusConfig({"length_int": [2]}, samples=2), tmp_path)
    assert not list(tmp_path.glob("shard*"))


def test_killed_and_run_again_it_ends_in_the_same_bytes(tmp_path):
    arguments = ["--tasks", "coin_flip,add_int", "--lengths", "8-12", "--samples", "300", "--num-shards", "12"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_python(COMMAND, *arguments, "--output", whole)
    command = [sys.executable, COMMAND, *arguments, "--workers", "2", "--output", str(killed)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    progress = killed / ".progress"
    while len(list(progress.glob("shard-*.json"))) < 2 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    finished = {path.name: path.stat().st_mtime_ns for path in killed.glob("shard-*.jsonl")}
    proven = {path.name.removesuffix(".json") for path in progress.glob("shard-*.json")}
    assert 2 <= len(proven) < 12
    assert not (killed / "manifest.json").exists()
    (killed / ".shard-00011-of-00012.jsonl.1.tmp").write_text("left over")
    run_python(COMMAND, *arguments, "--output", killed)
    assert contents(killed) == contents(whole)
    kept = proven & finished.keys()
    assert kept
    assert all((killed / name).stat().st_mtime_ns == finished[name] for name in kept)


def test_a_finished_corpus_is_left_alone_and_a_damaged_one_mended(tmp_path):
    generate_corpus(SMALL, tmp_path)
    before = contents(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    start = time.monotonic()
    generate_corpus(SMALL, tmp_path, num_workers=2)
    assert time.monotonic() - start < 0.5
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times
    (tmp_path / "shard-00001-of-00003.jsonl").write_text("short\n")
    generate_corpus(SMALL, tmp_path)
    assert contents(tmp_path) == before


def test_other_settings_are_refused(small, tmp_path):
    with pytest.raises(UserError, match=r"was begun with samples 40, this run has 50; give another --output"):
        generate_corpus(CorpusConfig(SMALL.lengths, samples=50, num_shards=3), small)
    with pytest.raises(UserError, match=r"tasks\.coin_flip\.lengths \[1, 2, 3\], this run has \[1, 2\]"):
        generate_corpus(CorpusConfig({**SMALL.lengths, "coin_flip": [1, 2]}, samples=40, num_shards=3), small)
    assert generate_corpus(SMALL, tmp_path, part=Part(0, 2)) is None
    with pytest.raises(UserError, match="form 'rule', this run has 'lean'; give another --output, or remove"):
        generate_corpus(replace(SMALL, form="lean"), tmp_path)
    assert generate_corpus(SMALL, tmp_path)["counts"]["records"] == 168


def test_settings_that_led_nowhere_may_be_changed(tmp_path):
    with pytest.raises(UserError, match="every example takes more than max_tokens 5; raise it"):
        generate_corpus(replace(SMALL, max_tokens=5), tmp_path)
    assert generate_corpus(replace(SMALL, max_tokens=5000), tmp_path)["counts"]["records"] == 168


def test_two_runs_do_not_share_a_folder(tmp_path):
    with Work(tmp_path, notes=tmp_path / ".progress", files=tmp_path).held():
        for part in (None, Part(0, 2)):
            with pytest.raises(UserError, match=f"another run is writing {tmp_path}; wait for it"):
                generate_corpus(SMALL, tmp_path, part=part)


def test_parse_tasks():
    """Lengths that a task lacks are left out, unless they were given with its own name."""
    tic_tac_toe = "find_winner_on_tic_tac_toe"  # has 1-9
    chosen = parse_tasks("train:8-11", None)
    assert (chosen["coin_flip"], chosen[tic_tac_toe]) == ([8, 9, 10, 11], [8, 9])
    assert parse_tasks("train", "10")[tic_tac_toe] == []
    with pytest.raises(UserError, match="has no length"):
        CorpusConfig(parse_tasks(f"{tic_tac_toe}:9,10", None), samples=3)
    assert parse_tasks("coin_flip:5,last_letter", "58-65") == {"coin_flip": [5], "last_letter": [58, 59, 60]}


def test_a_named_task_without_a_length_is_refused():
    with pytest.raises(UserError, match="coin_flip has none of the lengths 70-80; its valid_lengths: 1-60"):
        parse_tasks("coin_flip", "70-80")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": {"coin_flip": [5, 70]}}, r"coin_flip has no length \[70\]; its valid_lengths are 1-60"),
        ({"lengths": {"coin_flip": [5, 5]}}, "a length twice"),
        ({"lengths": {}}, "no task is given"),
        ({"samples": 0}, "samples is 0; ask for at least 1"),
        ({"num_shards": 0}, "num_shards is 0; ask for at least 1"),
        ({"split": "dev"}, "split 'dev' is unknown; choose one of train, validation, test"),
        ({"form": "chat"}, "form 'chat' is unknown; choose one of rule, lean, rule-blocks, rule-nl, one-shot, "),
    ],
)
def test_wrong_settings(change, message):
    with pytest.raises(UserError, match=message):
        replace(SMALL, **change)
    with pytest.raises(UserError, match="number of workers is 0"):
        generate_corpus(SMALL, "unused", num_workers=0)


def test_the_command_exits_with_2_and_one_line(tmp_path):
    done = run_python(COMMAND, "--tasks", "coin_flipp:1", "--output", tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["error: no task is called 'coin_flipp'; did you mean coin_flip?"]


def test_reading_names_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match=r"no such file: .*manifest.json; write the corpus with"):
        corpus_manifest(tmp_path)
    generate_corpus(SMALL, tmp_path)
    path = tmp_path / "shard-00001-of-00003.jsonl"
    whole = path.read_text()
    path.write_text(whole[:-10])
    with pytest.raises(UserError, match=r"shard-00001-of-00003\.jsonl has \d+ bytes, the manifest says \d+; generate"):
        list(read_records(tmp_path))
    path.write_text(whole.replace("1", "2", 1))
    with pytest.raises(UserError, match=r"00001-of-00003\.jsonl has another checksum than the manifest; generate"):
        list(read_records(tmp_path))
    path.unlink()
    with pytest.raises(UserError, match="is missing; generate the corpus again"):
        list(read_records(tmp_path))


def test_lengths_with_shares():
    config = CorpusConfig(parse_tasks("coin_flip,find_winner_on_tic_tac_toe", "1-8:0.9,9-20:0.1"), samples=100)
    cells = {(task, length): samples for task, length, samples in config.cells()}
    assert {cells["coin_flip", length] for length in range(1, 9)} == {225}  # 20 lengths * 100 * 0.9 / 8
    assert {cells["coin_flip", length] for length in range(9, 21)} == {17}
    assert {length for task, length in cells if task != "coin_flip"} == set(range(1, 10))  # it has no others
    assert cells["find_winner_on_tic_tac_toe", 9] == 17
    record = config.record()["tasks"]["coin_flip"]
    assert record["samples"] == [225] * 8 + [17] * 12
    assert "samples" not in CorpusConfig({"coin_flip": [2, 3]}, samples=5).record()["tasks"]["coin_flip"]


def test_a_corpus_with_names_of_its_own_is_proven(tmp_path):
    config = corpus_config({"tasks": "coin_flip,random_strings", "lengths": "2-3", "samples": 20, "rename": True})
    manifest = generate_corpus(config, tmp_path)
    assert manifest["counts"]["cells"] == {
        "coin_flip+rename": {"2": 20, "3": 20},
        "random_strings": {"2": 20, "3": 20},
    }
    assert verify_corpus(tmp_path)["problems"] == []
    prompts = [record["prompt"] for record in read_records(tmp_path) if record["task"] == "coin_flip+rename"]
    assert not any("coin_flip" in prompt for prompt in prompts)
    names = {prompt.split("def ")[1].split("(")[0] for prompt in prompts}
    assert len(names) > 25


def test_a_renamed_twin_is_a_twin():
    config = corpus_config({"tasks": "lc_27:3", "samples": 2, "rename": True})
    assert config.near_twins == {"remove_element+rename": "move_zeroes"}

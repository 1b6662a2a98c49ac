"""Restartable work: who may write, what continues, what is refused and with which words, what counts as finished."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import sha256_file
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.common.restart import (
    Part,
    Work,
    finished_manifest,
    first_difference,
    held,
    hold,
    in_turn,
    is_held,
    require_same_inputs,
)
from tests.conftest import ROOT

INPUTS = {"seed": 1, "tasks": {"coin_flip": [1, 2]}}


def work(folder: Path, part: Part | None = None) -> Work:
    return Work(folder, notes=folder / ".progress", files=folder, part=part)


def finish_part(done: Work, name: str, content: str) -> None:
    file = done.files / name
    file.write_text(content)
    done.prove(name, {name: sha256_file(file)}, size=len(content))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


HOLDER = """
import sys
from pathlib import Path
from megatron_rfft.common.restart import Part, held
part = Part.parse(sys.argv[2]) if len(sys.argv) > 2 else None
with held(Path(sys.argv[1]), Path("output"), part):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(lock: Path, *part: str) -> subprocess.Popen:
    """A process that holds the lock until its stdin ends; ``wait_for`` it."""
    words = [sys.executable, "-c", HOLDER, str(lock), *part]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, **pipes)


def test_a_lock_ends_with_the_process_however_that_ends(tmp_path):
    lock = tmp_path / "run" / ".lock"
    process = holder(lock)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="another run is writing output; wait for it, or give another --output"):
        held(lock, Path("output")).__enter__()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert names(lock.parent) == [".lock.0-of-1"]
    with held(lock, Path("output")):
        pass
    assert names(lock.parent) == []


def test_parts_let_each_other_in_but_not_the_same_part_nor_the_whole(tmp_path):
    lock, output = tmp_path / ".lock", Path("output")
    runs = [holder(lock, f"{number}/6") for number in range(6)]
    assert [run.stdout.readline() for run in runs] == ["held\n"] * 6, "who looks around keeps nobody out"
    for part in (Part(5, 6), Part(), None):
        with pytest.raises(UserError, match="another run is writing output"), held(lock, output, part):
            pass
    with held(lock, output, Part(0, 7)):
        pass
    for run in runs:
        assert run.communicate() == ("", "")
    with held(lock, output):
        with pytest.raises(UserError, match="another run is writing output"), held(lock, output, Part(0, 6)):
            pass
        assert names(tmp_path) == [".lock.0-of-1"]
    assert names(tmp_path) == []


def test_one_holds_and_others_see_it(tmp_path):
    file = tmp_path / ".submit.lock"
    assert not is_held(file)
    with hold(file, "busy"):
        assert is_held(file)
        with pytest.raises(UserError, match="busy"), hold(file, "busy"):
            pass
    assert not is_held(file)
    assert names(tmp_path) == []


def test_in_turn_nobody_comes_between(tmp_path):
    """Eight processes that count in one file, whose lock comes and goes."""
    count = tmp_path / "count"
    count.write_text("0")
    script = (
        "import sys; from pathlib import Path; from megatron_rfft.common.restart import in_turn\n"
        "file = Path(sys.argv[1])\n"
        "for _ in range(20):\n"
        "    with in_turn(file.with_suffix('.lock')):\n"
        "        file.write_text(str(int(file.read_text()) + 1))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    runs = [subprocess.Popen([sys.executable, "-c", script, str(count)], env=environment) for _ in range(4)]
    for _ in range(20):
        with in_turn(count.with_suffix(".lock")):
            count.write_text(str(int(count.read_text()) + 1))
    assert [run.wait() for run in runs] == [0] * 4
    assert count.read_text() == "100"


leaves = st.none() | st.integers(0, 2)
mappings = st.dictionaries(st.sampled_from("xyz"), leaves | st.dictionaries(st.sampled_from("xyz"), leaves))


def without_none(value):
    if isinstance(value, dict):
        return {key: without_none(inner) for key, inner in value.items() if without_none(inner) not in (None, {})}
    return value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mappings, mappings)
def test_the_first_difference_is_one_and_none_means_the_same(begun, wanted):
    found = first_difference(begun, wanted)
    assert first_difference(begun, begun) is None
    if found is None:
        assert without_none(begun) == without_none(wanted)
        return
    key, old, new = found
    assert old != new
    for mapping, value in ((begun, old), (wanted, new)):
        inner = mapping
        for name in key.split("."):
            inner = inner.get(name)
        assert inner == value


def test_the_wording_names_the_key_both_values_and_the_fix():
    begun = {"seed": 1, "tasks": {"coin_flip": {"lengths": [1, 2]}}, "long": "x" * 200}
    with pytest.raises(UserError) as refused:
        require_same_inputs(Path("runs/a"), begun, {**begun, "tasks": {"coin_flip": {"lengths": (1, 3)}}})
    assert str(refused.value) == (
        "runs/a was begun with tasks.coin_flip.lengths [1, 2], this run has [1, 3]; "
        "give another --output, or remove runs/a"
    )
    with pytest.raises(UserError, match=r"long 'xxx.* \.\.\., this run has None; give"):
        require_same_inputs(Path("runs/a"), begun, {**begun, "long": None})
    require_same_inputs(Path("runs/a"), begun, {**begun, "new": None})


def test_work_continues_with_the_same_inputs_and_refuses_others(tmp_path, capsys):
    mine = work(tmp_path)
    with mine.held():
        mine.begin({**INPUTS, "seed": 0})
        mine.begin(INPUTS)  # no part was finished: nothing is lost
        finish_part(mine, "a", "first")
        mine.begin(INPUTS)
        assert mine.proof("a")["size"] == 5
        message = f"{tmp_path} was begun with seed 1, this run has 2; give another --output, or remove {tmp_path}"
        with pytest.raises(UserError, match=re.escape(message)):
            mine.begin({**INPUTS, "seed": 2})
        assert mine.proof("a")
        assert capsys.readouterr().err == ""
        mine.begin({**INPUTS, "seed": 2}, anew=True)
        assert mine.proof("a") is None
        assert "was begun with seed 1, this run has 2; starting anew" in capsys.readouterr().err
    assert names(tmp_path) == [".progress", "a"]


def test_what_a_run_is_working_on_is_not_begun_anew(tmp_path):
    first, second = work(tmp_path, Part(0, 2)), work(tmp_path, Part(1, 2))
    with first.held(), second.held():
        first.begin(INPUTS)
        second.begin(INPUTS)
        message = "another run is writing .* with seed 1, this run has 2; wait for it"
        with pytest.raises(UserError, match=message):
            second.begin({**INPUTS, "seed": 2}, anew=True)
        assert names(first.notes) == ["settings.json"]


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_text("{")])
def test_notes_that_say_nothing_of_their_inputs(tmp_path, damage, capsys):
    mine = work(tmp_path)
    with mine.held():
        mine.begin(INPUTS)
        (mine.notes / ".settings.json.1.tmp").touch()  # of a killed run
        damage(mine.notes / "settings.json")
        mine.begin(INPUTS)
        finish_part(mine, "a", "first")
        damage(mine.notes / "settings.json")
        with pytest.raises(UserError, match=r"was begun with .*; give another --output"):
            mine.begin(INPUTS)
        mine.begin(INPUTS, anew=True)
        assert "starting anew" in capsys.readouterr().err
        assert names(mine.notes) == ["settings.json"]


@pytest.mark.parametrize(
    ("damage", "is_proven", "is_there"),
    [
        (lambda file, proof: None, True, True),
        (lambda file, proof: file.write_text("other"), False, True),
        (lambda file, proof: file.unlink(), False, False),
        (lambda file, proof: proof.unlink(), False, False),
        (lambda file, proof: proof.write_text('{"sha'), False, False),
        (lambda file, proof: proof.write_text('{"sha256": "0f"}'), False, False),  # of an older version
    ],
)
def test_a_part_is_finished_if_its_files_are_those_of_its_proof(tmp_path, damage, is_proven, is_there):
    mine = work(tmp_path)
    finish_part(mine, "a", "first")
    damage(tmp_path / "a", mine.notes / "a.json")
    assert bool(mine.proof("a")) == is_proven
    assert bool(mine.proof("a", hashed=False)) == is_there


def test_the_last_part_finishes_and_a_late_one_finds_it_finished(tmp_path):
    first, second = work(tmp_path, Part(0, 2)), work(tmp_path, Part(1, 2))
    made = lambda: {"made": "before"}  # noqa: E731
    with first.held(), second.held():
        first.begin(INPUTS)
        finish_part(first, "a", "first")
        assert first.finish("ab", lambda proofs: pytest.fail("b is missing"), made) is None
        finish_part(second, "b", "second")
        assert second.finish("ab", lambda proofs: {"sizes": [p["size"] for p in proofs]}, made) == {"sizes": [5, 6]}
        finish_part(first, "a", "first")  # as a run of another number of parts may do
        assert first.finish("ab", lambda proofs: pytest.fail("it is finished"), made) == {"made": "before"}
    assert names(tmp_path) == ["a", "b"]


def test_a_manifest_of_the_same_inputs_is_finished_and_of_others_refused(tmp_path):
    (tmp_path / "data.bin").write_bytes(b"abcdefgh")
    manifest = tmp_path / "manifest.json"
    assert finished_manifest(manifest, "dataset", {"seed": 1}) is None
    write_manifest(manifest, "dataset", [tmp_path / "data.bin"], inputs={"seed": 1}, config={"seed": 3})
    assert finished_manifest(manifest, "dataset", {"seed": 1})
    assert finished_manifest(manifest, "dataset", {"seed": 3}, section="config")
    assert finished_manifest(manifest, "dataset", {"seed": 3}, section="absent") is None
    with pytest.raises(UserError, match=r"manifest\.json was begun with seed 1, this run has 2; give another --output"):
        finished_manifest(manifest, "dataset", {"seed": 2})
    with pytest.raises(UserError, match=r"^runs/a was begun with seed 1"):
        finished_manifest(manifest, "dataset", {"seed": 2}, output=Path("runs/a"))
    (tmp_path / "data.bin").write_bytes(b"abcdefgX")
    assert finished_manifest(manifest, "dataset", {"seed": 1}) is None
    assert finished_manifest(manifest, "dataset", {"seed": 1}, hashed=False)
    manifest.write_text(manifest.read_text()[:-9])
    assert finished_manifest(manifest, "dataset", {"seed": 2}) is None, "nobody knows what it was made from"

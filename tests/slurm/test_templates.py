"""The sbatch templates as bash runs them, with the variables that Slurm sets."""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from megatron_rfft.data.documents import Documents
from tests.conftest import ROOT
from tests.training.conftest import small_config

TEMPLATES = sorted((ROOT / "slurm").glob("*.sbatch"))


def run_task(template: str, *arguments: object, check: bool = True, **variables) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable, **variables}
    done = subprocess.run(
        ["bash", ROOT / "slurm" / template, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_bash_reads_the_template_and_slurm_its_options(template):
    subprocess.run(["bash", "-n", template], check=True)
    options = [line for line in template.read_text().splitlines() if line.startswith("#SBATCH")]
    assert any("--time=" in line for line in options)
    assert all(line.split()[1].startswith("--") for line in options)


def test_an_array_makes_one_data_set_and_a_lost_task_is_made_up_for(small_data, tmp_path):
    preset = tmp_path / "small.yaml"
    preset.write_text("tasks: coin_flip\nlengths: 2-4\nsamples: 40\nform: lean\nnum_shards: 4\n")
    output = tmp_path / "data"
    common = {
        "PRESET": str(preset),
        "TOKENIZER": str(small_data.tokenizer),
        "OUTPUT": str(output),
        "SLURM_ARRAY_TASK_COUNT": "3",
    }
    for task in ("0", "2"):  # the second one is lost
        assert "others are missing" in run_task("data_prep.sbatch", **common, SLURM_ARRAY_TASK_ID=task).stdout
    again = {**common, "SLURM_ARRAY_TASK_COUNT": "1", "PARTS": "3"}  # sbatch --array=1 with PARTS=3
    assert "wrote" in run_task("data_prep.sbatch", **again, SLURM_ARRAY_TASK_ID="1").stdout
    assert len(Documents(output)) == 120


@pytest.mark.parametrize(
    ("left_out", "message"),
    [("TOKENIZER", "set TOKENIZER"), ("OUTPUT", "set OUTPUT"), ("INPUT", "set INPUT or PRESET")],
)
def test_a_missing_variable_is_named(tmp_path, left_out, message):
    given = {"TOKENIZER": "t", "OUTPUT": "o", "INPUT": "i", "SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "1"}
    done = run_task("data_prep.sbatch", check=False, **{k: v for k, v in given.items() if k != left_out})
    assert done.returncode != 0
    assert message in done.stderr


SCONTROL = """case "$2" in
hostnames) echo "$3" ;;
job) echo "JobId=1 ArrayJobId=1 ArrayTaskId=3 JobName=other" # an array's first job stands for all
  echo "JobId=$4 ${RECORD:-JobName=x} Restarts=0 NumCPUs=4 NumTasks=1 CPUs/Task=1 " ;;
esac"""
"""Says RECORD of a job."""


def with_scontrol(folder: Path, **record: str) -> dict[str, str]:
    """Variables with which a template finds it."""
    folder.mkdir()
    (folder / "scontrol").write_text(f"#!/bin/sh\n{SCONTROL}\n")
    (folder / "scontrol").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", **record}


ARRAY = {"SLURM_JOB_ID": "5", "SLURM_ARRAY_JOB_ID": "2", "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4"}


def test_a_number_in_an_array_counts_where_slurm_confirms_it(tmp_path):
    """A job that is submitted from inside a task of an array has the task's variables."""
    for number in (0, 3):
        (tmp_path / f"{number}.sh").write_text(f'echo "script {number}, workers $WORKERS"\n')
    programs, inherited = with_scontrol(tmp_path / "programs"), {**ARRAY, "SLURM_CPUS_PER_TASK": "16"}
    assert run_task("stage.sbatch", tmp_path, **programs, **inherited).stdout == "script 0, workers 1\n"
    own = {"RECORD": "ArrayJobId=2 ArrayTaskId=3"}
    assert run_task("stage.sbatch", tmp_path, **programs, **inherited, **own).stdout == "script 3, workers 1\n"
    another = {"RECORD": "ArrayJobId=4 ArrayTaskId=33"}
    assert run_task("stage.sbatch", tmp_path, **programs, **inherited, **another).stdout == "script 0, workers 1\n"
    refused = run_task("data_prep.sbatch", check=False, **programs, **inherited, TOKENIZER="t", OUTPUT="o", INPUT="i")
    assert "submit this as an array" in refused.stderr


def test_options_of_an_array_reach_the_trainer_as_they_were_written(tmp_path):
    words = ["--run.output", '/data/my runs/it\'s $HOME \\ "1"', "--logging.profile", "[1, 2]", "--data.cache", ""]
    (tmp_path / "options").write_text(f"--run.steps 1\n{shlex.join(words)}\n")
    programs = with_scontrol(tmp_path / "programs", RECORD="ArrayJobId=2 ArrayTaskId=1")
    job = {**ARRAY, "SLURM_ARRAY_TASK_ID": "1", "SLURM_JOB_NODELIST": "node1", "SLURM_JOB_NUM_NODES": "1"}
    file = {"OPTIONS_FILE": str(tmp_path / "options")}
    (tmp_path / "programs" / "srun").write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$0.words"\nexit 2\n')
    (tmp_path / "programs" / "srun").chmod(0o755)
    done = run_task("train.sbatch", "my config.yaml", "--run.seed", 7, check=False, **programs, **job, **file)
    assert done.returncode == 2
    given = (tmp_path / "programs" / "srun.words").read_text().splitlines()
    assert given[given.index("--config") :] == ["--config", "my config.yaml", *words, "--run.seed", "7"]


STEPS = """case "$*" in
*slurm.preflight*) echo "$RUN" ;;
*slurm.launch*) exit 76 ;;
*slurm.verdict*) echo a banner; echo "$VERDICT" ;;
esac"""
"""An srun whose training hangs, and whose verdict is VERDICT."""
CALLS = """case "$1" in
requeue | update) echo "$@" >>"$0.calls" ;;
*) exec sh -c "$SCONTROL" "$0" "$@" ;;
esac"""
"""A scontrol that notes what it is told to do."""


@pytest.mark.parametrize(
    ("verdict", "code", "message", "told"),
    [
        ("finish|0||finished", 0, "start 1: finished: {run}", []),
        ("stop|76||hung, and so on", 76, "hung, and so on; not started again", []),
        ("requeue|75||saved step-1", 75, "saved step-1: the job is requeued\n", ["requeue 5"]),
        (
            "requeue|76|n1,n2|hung | $(touch {run}/made) `touch {run}/made`; touch {run}/made",
            76,
            "touch {run}/made: the job is requeued without n1, n2\n",
            ["requeue 5", "update JobId=5 ExcNodeList=n1,n2"],
        ),
        ("Traceback", 76, "no verdict could be had on exit code 76; not started again", []),
    ],
)
def test_bash_does_what_the_verdict_says_and_nothing_that_is_written_in_it(tmp_path, verdict, code, message, told):
    programs = with_scontrol(tmp_path / "programs", RECORD="JobName=x")
    fakes = {
        "srun": STEPS,
        "scontrol": CALLS,
        "sinfo": "echo partition n1 idle",
        "sleep": "exit 0 # nobody to wait for",
    }
    for name, script in fakes.items():
        (tmp_path / "programs" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "programs" / name).chmod(0o755)
    run = tmp_path / "run"
    job = {"SLURM_JOB_ID": "5", "SLURM_JOB_NODELIST": "n1", "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_PARTITION": "gpu"}
    given = {"SCONTROL": SCONTROL, "RUN": str(run), "VERDICT": verdict.format(run=run), "PREFLIGHT": "none"}
    done = run_task("train.sbatch", "config.yaml", check=False, **programs, **job, **given)
    assert done.returncode == code, done.stderr
    assert message.format(run=run) in done.stdout + done.stderr
    calls = tmp_path / "programs" / "scontrol.calls"
    assert (calls.read_text().splitlines() if calls.exists() else []) == told
    assert [file.name for file in run.iterdir()] == ["slurm"]
    by_slurm = run / "slurm" / "5" / "0" / "slurm-nodes"
    assert by_slurm.read_text() == "partition n1 idle\n"


def test_a_limit_that_is_no_number_is_refused_before_anything_runs(tmp_path):
    job = {"SLURM_JOB_ID": "5", "SLURM_JOB_NODELIST": "node1", "SLURM_JOB_NUM_NODES": "1"}
    programs = with_scontrol(tmp_path / "programs", RECORD="JobName=x")
    done = run_task("train.sbatch", "config.yaml", check=False, **programs, **job, MAX_RESTARTS="five")
    assert done.returncode == 2
    assert "error: MAX_RESTARTS is five; give a number" in done.stderr


IMAGE, MOUNTS = "/images/rfft.sqsh", "/scratch:/scratch,/data:/data"


@pytest.fixture
def container(tmp_path) -> dict[str, str]:
    """Variables with which a template finds an srun that checks pyxis' options (container.py) and a scontrol."""
    programs, image = tmp_path / "programs", tmp_path / "image"
    programs.mkdir()
    image.mkdir()
    (image / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    srun = f'exec {sys.executable} {ROOT}/tests/slurm/container.py {tmp_path}/notes {image} "$@"'
    for name, script in {"srun": srun, "scontrol": SCONTROL}.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    for file in (*programs.iterdir(), *image.iterdir()):
        file.chmod(0o755)
    for name in ("bash", "touch"):
        (image / name).symlink_to(shutil.which(name))
    path = f"{programs}:/usr/bin:/bin"
    return {"PATH": path, "CONTAINER": IMAGE, "CONTAINER_MOUNTS": MOUNTS, "PYTHON": "/not/in/the/image/python"}


def notes_of(folder: Path) -> list[dict]:
    """What each step in the container was; all were given the image, the mounts and this folder."""
    notes = [json.loads(line) for line in (folder / "notes").read_text().splitlines()]
    given = {"container-image": IMAGE, "container-mounts": MOUNTS, "container-workdir": str(ROOT)}
    assert all({name: note[name] for name in given} == given for note in notes)
    return notes


def steps_inside(folder: Path) -> list[list[str]]:
    """The commands that ran in the container."""
    return [note["command"] for note in notes_of(folder)]


def test_stages_run_in_the_container(container, small_data, tmp_path):
    (tmp_path / "0.sh").write_text('set -eu\n"$PYTHON" data_prep/generate.py --help\n')
    done = run_task("stage.sbatch", tmp_path, **container)
    assert "usage: rfft generate" in done.stdout
    given = {"INPUT": str(small_data.corpus), "TOKENIZER": str(small_data.tokenizer), "OUTPUT": str(tmp_path / "data")}
    run_task("data_prep.sbatch", **container, **given, SLURM_ARRAY_TASK_ID="0", SLURM_ARRAY_TASK_COUNT="1")
    assert len(Documents(tmp_path / "data")) == len(Documents(small_data.prefix))
    assert [command[0] for command in steps_inside(tmp_path)] == ["bash", "python"]


@pytest.mark.parametrize(
    ("given", "name", "unpacks", "left"),
    [
        ({}, "7_2", [True, False, False], ""),
        ({"CONTAINER_UNPACK_AS": "mine"}, "mine", [True, False, False], "pyxis_mine"),
        ({"CONTAINER_UNPACK_AS": "none"}, None, [True, True, True], None),
    ],
)
def test_the_image_is_unpacked_once_and_removed_in_the_end(container, tmp_path, given, name, unpacks, left):
    """Three steps of a job whose preflight fails: the config, the node and what it wrote."""
    answers = f"""case "$*" in *preflight\\ config*) echo {tmp_path}/run ;; *preflight\\ compare*) exit 1 ;; esac"""
    (tmp_path / "image" / "python").write_text(f"#!/bin/sh\n{answers}\n")
    job = {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "2", "SLURM_JOB_NODELIST": "n1", "SLURM_JOB_NUM_NODES": "1"}
    job["SLURM_JOB_PARTITION"] = "gpu"
    (tmp_path / "programs" / "sinfo").symlink_to("/bin/true")
    done = run_task("train.sbatch", "run.yaml", check=False, **container, **job, **given, RECORD="Restarts=2")
    assert (done.returncode, "no verdict could be had" in done.stderr) == (1, True), done.stderr
    notes = notes_of(tmp_path)
    assert {note["container-name"] for note in notes} == {name}
    assert [note["unpacks"] for note in notes][:3] == unpacks
    images = tmp_path / "notes.unpacked"
    assert (images.read_text() if images.exists() else None) == left


@pytest.mark.slow
def test_training_runs_in_the_container(container, small_data, tmp_path):
    """All of train.sbatch on one node: preflight, launch and trainer inside, what asks Slurm outside."""
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(small_config(small_data.prefix, tmp_path / "run")))
    host = socket.gethostname()
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": host, "SLURM_JOB_NUM_NODES": "1"}
    done = run_task("train.sbatch", tmp_path / "run.yaml", **container, **job)
    assert "finished" in done.stdout
    ran = [next(word for word in command if word.startswith("megatron_rfft")) for command in steps_inside(tmp_path)]
    assert ran == [*3 * ["megatron_rfft.slurm.preflight"], "megatron_rfft.slurm.launch", "megatron_rfft.slurm.verdict"]
    assert (tmp_path / "run" / "slurm" / "7" / "0" / f"finished-{host}").exists()

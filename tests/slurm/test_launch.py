"""The launcher under real processes: its exit code is that of the process that failed first."""

import json

from tests.conftest import ROOT, run_python

WORKER = """\
import os, sys, time
if os.environ["RANK"] == "1":
    print("leaving")
    sys.exit(76)
time.sleep(60)
"""


def test_the_exit_code_is_that_of_the_first_failure(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    launcher = (
        "-m",
        "megatron_rfft.slurm.launch",
        "--outcome",
        tmp_path,
        "--standalone",
        "--nproc-per-node",
        2,
        "--tee=3",
    )
    done = run_python(*launcher, tmp_path / "worker.py", check=False)
    assert done.returncode == 76, done.stderr
    assert "[rank1]:leaving" in done.stdout
    found = json.loads(next(tmp_path.glob("failure-*")).read_text())
    assert (found["rank"], found["exit_code"]) == (1, 76)
    assert not list(tmp_path.glob("finished-*"))


def test_the_bindings_that_the_template_names_are_torchruns():
    from torch.distributed.run import get_args_parser

    template = (ROOT / "slurm/train.sbatch").read_text()
    for mode in ("node", "socket", "exclusive", "core-complex"):
        assert mode in template
        assert get_args_parser().parse_args([f"--numa-binding={mode}", "script"]).numa_binding == mode

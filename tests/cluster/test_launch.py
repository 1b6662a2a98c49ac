"""The launcher under real processes: its exit code is that of the process that failed first."""

import json

import pytest

from tests.conftest import run_python

WORKER = """\
import os, sys, time
if os.environ["RANK"] == "1":
    sys.exit(int(sys.argv[1]))
time.sleep(20 if sys.argv[1] != "0" else 0)
"""


@pytest.mark.parametrize("code", [0, 76])
def test_the_exit_code_is_that_of_the_first_failure(tmp_path, code):
    (tmp_path / "worker.py").write_text(WORKER)
    launcher = ("-m", "megatron_rfft.cluster.launch", "--outcome", tmp_path, "--standalone", "--nproc-per-node", 2)
    done = run_python(*launcher, tmp_path / "worker.py", code, check=False)
    assert done.returncode == code, done.stderr
    left = {file.name.partition("-")[0] for file in tmp_path.iterdir()} - {"worker.py"}
    assert left == {"failure" if code else "finished"}
    if code:
        found = json.loads(next(tmp_path.glob("failure-*")).read_text())
        assert (found["rank"], found["exit_code"]) == (1, 76)

"""What Linux alone has is not asked of other systems; here it is taken away."""

from tests.conftest import run_python

TAKEN_AWAY = """
import os, sys
for name in ("O_DIRECT", "posix_fadvise", "sched_getaffinity"):
    delattr(os, name)
"""
AS_ON_MACOS = "sys.platform = 'darwin'\n"  # once all is imported


def test_files_are_written_and_hashed_through_the_page_cache(tmp_path):
    code = TAKEN_AWAY + "import hashlib\nfrom pathlib import Path\n"
    code += "from megatron_rfft.common.hashed_file import hashed_file\n" + AS_ON_MACOS
    code += f"path = Path({str(tmp_path / 'file')!r})\n"
    code += "with hashed_file(path) as file: file.write(bytes(range(256)) * 50000)\n"
    code += "print(file.checksum == hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)\n"
    assert run_python("-c", code).stdout == "True 12800000\n"


def test_cores_are_counted():
    code = TAKEN_AWAY + "from megatron_rfft.common.processes import usable_cores\n" + AS_ON_MACOS
    assert run_python("-c", code + "print(usable_cores() == os.cpu_count())").stdout == "True\n"


def test_a_task_of_a_chain_runs_by_itself_with_its_own_exit_code():
    code = TAKEN_AWAY + "from megatron_rfft.common import supervise\n" + AS_ON_MACOS
    code += "supervise.main([str(os.getppid()), 'bash', '-c', 'echo done; exit 7'])\n"
    done = run_python("-c", code, check=False)
    assert (done.returncode, done.stdout) == (7, "done\n")

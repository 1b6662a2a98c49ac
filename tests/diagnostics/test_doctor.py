"""The doctor: known traps are seen, what hangs or breaks is reported and not suffered, and this machine is judged."""

import json
import os
import stat
import time
from pathlib import Path

import psutil
import pytest

from megatron_rfft.diagnostics.doctor.file_system import check_file_system
from megatron_rfft.diagnostics.doctor.findings import Finding, Status, format_findings, healthy
from megatron_rfft.diagnostics.doctor.probes import run_probe
from megatron_rfft.diagnostics.doctor.versions import check_apex, check_transformer_engine, within
from tests.conftest import run_python


@pytest.mark.parametrize(
    ("te", "cublas", "nccl", "status", "reason"),
    [
        (None, None, None, Status.ABSENT, "not installed"),
        ("2.20.2", "13.1.0.3", "2.28.9", Status.OK, "2.20.2"),
        ("2.20.2", None, None, Status.OK, "2.20.2"),
        ("2.14.1", "13.1.0.3", "2.28.9", Status.FAIL, "cuBLAS 13.1.0.3"),
        ("2.14.1", "13.2.1.1", "2.28.9", Status.WARN, "tried with"),
        ("2.18.0", "13.1.0.3", "2.28.9", Status.FAIL, "NCCL 2.28.9"),
        ("2.18.0", "13.1.0.3", "2.29.7", Status.WARN, "tried with"),
        ("2.12.0", "13.1.0.3", "2.28.9", Status.WARN, "tried with"),
        ("2.2.0", None, None, Status.WARN, "blockwise"),
        ("1.13.0", None, None, Status.FAIL, "tensorwise"),
    ],
)
def test_versions_of_transformer_engine_that_do_not_work(te, cublas, nccl, status, reason):
    finding = check_transformer_engine(te, cublas, nccl)
    assert finding.status == status
    assert reason in finding.found
    assert bool(finding.fix) == (status != Status.OK)


def test_an_images_own_build_of_torch_lies_in_the_range():
    assert within("2.12.0a0+5b7f1.nv26.06", ">=2.8")
    assert within("0.32.0+cpu", "==0.32.0")
    assert not within("2.7.1", ">=2.8")
    assert not within("unknown", ">=2.8")


def test_pypis_apex_is_told_from_nvidias(tmp_path, monkeypatch):
    assert check_apex().status == Status.ABSENT
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "apex").mkdir()
    (tmp_path / "apex/__init__.py").touch()
    finding = check_apex()
    assert (finding.status, finding.fix) == (Status.FAIL, "pip uninstall apex")
    (tmp_path / "apex/optimizers.py").touch()
    assert check_apex().status == Status.OK


def fake_nvidia_smi(folder: Path, script: str, monkeypatch) -> None:
    file = folder / "nvidia-smi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_gpu_that_torch_was_not_built_for_is_seen(tmp_path, monkeypatch):
    fake_nvidia_smi(tmp_path, "echo 'NVIDIA H100 80GB HBM3, 580.95, 81559 MiB'", monkeypatch)
    finding = run_probe("gpu", 60)
    assert finding.status == Status.FAIL
    assert "H100" in finding.found
    assert "no CUDA" in finding.found


def test_a_check_that_hangs_is_ended_with_all_it_started(tmp_path, monkeypatch):
    fake_nvidia_smi(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600", monkeypatch)
    started = time.monotonic()
    finding = run_probe("gpu", 6)
    assert finding.status == Status.FAIL
    assert "no answer within 6 s" in finding.found
    assert time.monotonic() - started < 40
    deadline = time.monotonic() + 10
    while is_running(int((tmp_path / "pid").read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_package_that_does_not_import_gives_its_reason(tmp_path, monkeypatch):
    (tmp_path / "fastokens.py").write_text("raise ImportError('libmissing.so: no such file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = run_probe("tokenizer engines", 60)
    assert finding.status == Status.FAIL
    assert "libmissing.so" in finding.found
    assert "exit code 1" in finding.found


def test_a_file_system_that_works_and_a_folder_that_does_not(tmp_path):
    finding = check_file_system(tmp_path)
    assert finding.status == Status.OK, finding
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert check_file_system(tmp_path / "file").status == Status.FAIL


def test_what_is_needed_decides():
    absent = Finding("transformer-engine", Status.ABSENT, "not installed", "install it")
    assert healthy([absent], "train-cpu")
    assert not healthy([absent], "train-gpu")
    broken = Finding("apex", Status.FAIL, "another project", "pip uninstall apex")
    assert not healthy([broken], "train-cpu")
    assert healthy([Finding("torch", Status.WARN, "2.7", "newer")], "train-cpu")
    assert "install it" in format_findings([absent], "train-gpu")
    assert "install it" not in format_findings([absent], "train-cpu")


@pytest.mark.slow
def test_this_machine_can_train(tmp_path):
    done = run_python("tools/doctor.py", "--for", "train-cpu", "--path", tmp_path, "--json")
    report = json.loads(done.stdout)
    assert report["healthy"]
    found = {finding["name"]: finding for finding in report["findings"]}
    assert found["training step"]["status"] == "ok"
    assert found["training step"]["found"].startswith("two steps on ")
    assert found["collectives"]["found"].startswith("gloo over 2 processes")


def test_the_report_is_a_table(tmp_path):
    done = run_python("tools/doctor.py", "--for", "data", "--path", tmp_path)
    assert "ok     * file system" in done.stdout
    assert done.stdout.rstrip().endswith("data works on this machine (* needed for it)")
    wrong = run_python("tools/doctor.py", "--path", tmp_path / "none", check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)

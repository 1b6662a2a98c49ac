"""tools/bench_loader.py as a process: a record with plausible figures; the committed one meets its goals."""

import json

from tests.conftest import ROOT, run_python


def test_a_record_is_measured_and_written(small_data, tmp_path):
    record = tmp_path / "loader.json"
    small = ("--sequence-length", 384, "--documents", 3000, "--sequences", 50)
    run_python("tools/bench_loader.py", "--input", small_data.prefix, *small, "--output", record)
    result = json.loads(record.read_text())
    assert {"command", "date", "machine", "packing", "loader"} == set(result)
    assert [row["sequence_length"] for row in result["packing"]] == [384, 8192, 16384]
    (loader,) = result["loader"]
    assert 3000 <= loader["documents_per_epoch"] < 3420
    assert 0.9 < loader["fill"] <= 1
    assert 0 < loader["target_tokens_per_second"] < loader["tokens_per_second"]


def test_wrong_input_is_named(small_data):
    done = run_python("tools/bench_loader.py", "--input", small_data.prefix, "--sequences", 0, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: --sequences is 0; give 1 or more\n"


def test_the_committed_record_meets_the_goals():
    record = json.loads((ROOT / "tools/benchmarks/loader.json").read_text())
    packed = {(row["documents"], row["sequence_length"]): row for row in record["packing"]}
    for documents in (300_000, 1_000_000):
        for sequence_length in (8192, 16384):
            row = packed[documents, sequence_length]
            assert row["fill"] >= 0.98
            assert row["seconds"] < 5
    for row in record["loader"]:
        assert row["tokens_per_second"] >= 500_000
        assert row["peak_rss_mib"] < 1024
        assert row["anonymous_rss_after_reading_mib"] < 1024

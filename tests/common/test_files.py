"""Files are whole or absent; manifests notice every change; length ranges parse."""

import errno
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.common.cli import parse_length_shares, parse_lengths, run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import HASHES, atomic_write, file_checksum, read_json, require_writable, whole_lines
from megatron_rfft.common.manifest import DamagedManifest, checksum_in, read_manifest, verify_manifest, write_manifest
from megatron_rfft.common.yaml_config import read_yaml


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "value.txt"
    path.write_text("old")

    def fill_the_disk():
        with atomic_write(path) as handle:
            handle.write("half of the ne")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk"):
        fill_the_disk()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b'{"half": ', b"[" * 100_000 + b"]" * 100_000, b'"\xff"', b'{"a": 1}\0'])
def test_broken_json_is_an_error_that_names_the_file(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("content", [b"a: [", b"a: " + b"[" * 400, b"a: \xff", b"a: 2024-99-99", b"a: \x00"])
def test_broken_yaml_is_an_error_that_names_the_file(tmp_path, content):
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.yaml is not valid YAML"):
        read_yaml(tmp_path / "a.yaml", "")


def test_the_mark_that_windows_puts_before_a_file_is_passed_over(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_json(tmp_path / "a.json") == read_yaml(tmp_path / "a.yaml", "") == {"a": 1}


@pytest.mark.parametrize(
    ("number", "code", "advice"),
    [
        (errno.EROFS, 2, "Read-only file system; name a place that can be written to"),
        (errno.EACCES, 2, "Permission denied; change its permissions, or name another place"),
        (errno.ENOTDIR, 2, "Not a directory; name another place"),
        (errno.ENOSPC, 1, "No space left on device; free some room and run the command again"),
    ],
)
def test_what_the_file_system_refuses_is_one_line(capsys, monkeypatch, number, code, advice):
    def main() -> None:
        raise OSError(number, os.strerror(number), "/data/run")

    with pytest.raises(SystemExit) as ended:
        run_command(main)
    assert (ended.value.code, capsys.readouterr().err) == (code, f"error: /data/run: {advice}\n")
    monkeypatch.setenv("LOCAL_RANK", "3")  # seven more processes of the node say the same
    with pytest.raises(SystemExit):
        run_command(main)
    assert capsys.readouterr().err == ""


def test_other_errors_of_the_system_keep_their_traceback():
    def main() -> None:
        Path("/proc/self/there/is/none").read_text()

    with pytest.raises(FileNotFoundError):
        run_command(main)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    assert require_writable(tmp_path / "new" / "folder").is_dir()
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    with pytest.raises(UserError, match=r"file/run cannot be written to \(Not a directory\); name a folder that can"):
        require_writable(tmp_path / "file" / "run")


def test_checksums_are_the_published_ones(tmp_path):
    (tmp_path / "empty").touch()
    assert file_checksum(tmp_path / "empty", "xxh3_128") == "99aa06d3014798d86001c324468d497f"
    assert file_checksum(tmp_path / "empty", "sha256").startswith("e3b0c44298fc1c149afbf4c8996fb924")


@pytest.mark.parametrize("algorithm", [None, *HASHES])
@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda file: file.write_bytes(b"12345678"), "another checksum"),
        (lambda file: file.write_bytes(b"1234"), "has 4 bytes, the manifest says 8"),
        (lambda file: file.unlink(), "is missing"),
    ],
)
def test_a_manifest_notices_every_change(tmp_path, damage, expected, algorithm):
    file = tmp_path / "sub" / "data.bin"
    file.parent.mkdir()
    file.write_bytes(b"abcdefgh")
    manifest = tmp_path / "manifest.json"
    known = {file: file_checksum(file, algorithm)} if algorithm else None
    write_manifest(manifest, "dataset", [file], known, algorithm or "sha256")
    assert checksum_in(read_json(manifest)["files"]["sub/data.bin"])[0] == (algorithm or "sha256")
    assert verify_manifest(manifest, "dataset") == verify_manifest(manifest, "dataset", hashed=False) == []
    damage(file)
    (problem,) = verify_manifest(manifest, "dataset")
    assert expected in problem
    assert verify_manifest(manifest, "dataset", hashed=False) == ([] if "checksum" in expected else [problem])


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-9],
        lambda text: text.replace('"files"', '"fails"'),
        lambda text: text.replace('"sha256"', '"sha255"'),
        lambda text: text.replace('"bytes": 8', '"bytes": "8"'),
        lambda text: text.replace('"sha256"', '"xxh3_128": "0f", "sha256"'),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, damage):
    (tmp_path / "data.bin").write_bytes(b"abcdefgh")
    manifest = tmp_path / "manifest.json"
    write_manifest(manifest, "dataset", [tmp_path / "data.bin"], inputs={"seed": 1})
    manifest.write_text(damage(manifest.read_text()))
    with pytest.raises(DamagedManifest, match=r"manifest\.json is .*; restore or regenerate it"):
        read_manifest(manifest, "dataset")


def test_a_manifest_of_another_kind_is_refused(tmp_path):
    write_manifest(tmp_path / "manifest.json", "corpus", [])
    with pytest.raises(UserError, match="not the manifest of a dataset"):
        read_manifest(tmp_path / "manifest.json", "dataset")


@given(st.sets(st.integers(1, 200), min_size=1))
def test_lengths_written_one_by_one_come_back(lengths):
    assert parse_lengths(",".join(map(str, lengths))) == sorted(lengths)


def test_length_ranges():
    assert parse_lengths("2-10:4") == [2, 6, 10]
    assert parse_lengths("1-3,2-4, 9") == [1, 2, 3, 4, 9]


@pytest.mark.parametrize("text", ["", "0-3", "5-2", "a", "1-4:0", "1-", "1--3"])
def test_wrong_lengths_are_refused(text):
    with pytest.raises(UserError, match="lengths"):
        parse_lengths(text)


def test_shares_of_lengths():
    assert parse_length_shares("1-3,7") == {1: 1.0, 2: 1.0, 3: 1.0, 7: 1.0}
    weights = parse_length_shares("1-12:0.9, 14-32:2:0.1")
    assert list(weights) == [*range(1, 13), *range(14, 33, 2)]
    assert sum(weights.values()) == pytest.approx(22)
    assert sum(weights[length] for length in range(1, 13)) == pytest.approx(22 * 0.9)
    assert parse_length_shares("2-6:2") == {2: 1.0, 4: 1.0, 6: 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1-4:0.9,9-10:0.2", "the shares add up to 1.1; make them positive, with the sum 1"),
        ("1-4:1.5,9-10:-0.5", "the shares add up to 1; make them positive"),
        ("1-4:0.9,4-10:0.1", "4 is in two ranges; leave it out of one"),
        ("1-4:0.9,5-10", "some ranges have a share and some have none; give one to each"),
        ("1-4:0.x", "'0.x' is not a share; write for example 1-12:0.9"),
        ("4-1:1.0", "'4-1' is empty or below 1"),
    ],
)
def test_wrong_shares_are_named(text, message):
    with pytest.raises(UserError, match=re.escape(message)):
        parse_length_shares(text)


def test_lines_end_before_one_that_is_not_whole(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert list(whole_lines(path)) == []
    path.write_bytes(b"one\ntwo \xff\n" + b"drei" + b"\xc3")
    assert list(whole_lines(path)) == ["one\n", "two \ufffd\n"]

"""Files are whole or absent; manifests notice every change; length ranges parse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.common.cli import parse_lengths
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, read_json
from megatron_rfft.common.manifest import read_manifest, verify_manifest, write_manifest


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


def test_broken_json_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "a.json").write_text('{"half": ')
    with pytest.raises(UserError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda file: file.write_bytes(b"12345678"), "another checksum"),
        (lambda file: file.write_bytes(b"1234"), "has 4 bytes, the manifest says 8"),
        (lambda file: file.unlink(), "is missing"),
    ],
)
def test_a_manifest_notices_every_change(tmp_path, damage, expected):
    file = tmp_path / "sub" / "data.bin"
    file.parent.mkdir()
    file.write_bytes(b"abcdefgh")
    manifest = tmp_path / "manifest.json"
    write_manifest(manifest, "dataset", [file])
    assert verify_manifest(manifest, "dataset") == []
    damage(file)
    (problem,) = verify_manifest(manifest, "dataset")
    assert expected in problem


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

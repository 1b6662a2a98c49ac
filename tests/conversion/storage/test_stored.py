"""What passes through conversion in pieces comes out whole, wherever the pieces are cut, with the right checksum."""

import errno
import hashlib
import io
import os
import random
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import HASHES, file_checksum, sha256_file
from megatron_rfft.common.hashed_file import hashed_file
from megatron_rfft.common.tensor_file import write_tensor
from megatron_rfft.conversion.storage import stored
from megatron_rfft.conversion.storage.stored import Passing, SourceFile, Span, Stored, bytes_of, contents, padded

MIB = 1 << 20
hypothesis = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("algorithm", HASHES)
@pytest.mark.parametrize("direct", [True, False], ids=["past the page cache", "through it"])
@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4 * MIB - 1, 4 * MIB, 4 * MIB + 4096, 8 * MIB + 5])
def test_a_file_is_what_was_written_with_its_checksum(tmp_path, monkeypatch, direct, size, algorithm):
    if not direct:  # a file system that has no O_DIRECT

        def refusing(path, flags, *mode, really=os.open):
            if flags & os.O_DIRECT:
                raise OSError(errno.EINVAL, "Invalid argument")
            return really(path, flags, *mode)

        monkeypatch.setattr(os, "open", refusing)
    content = random.Random(size).randbytes(size)
    cuts = sorted(random.Random(size).randrange(size + 1) for _ in range(5))
    with hashed_file(tmp_path / "file", algorithm) as file:
        for start, stop in zip([0, *cuts], [*cuts, size], strict=True):
            assert file.write(content[start:stop]) == stop - start
    assert (tmp_path / "file").read_bytes() == content
    assert (file.position, file.checksum) == (size, HASHES[algorithm](content).hexdigest())
    assert file.checksum == file_checksum(tmp_path / "file", algorithm)


def test_a_disk_that_fills_up_while_the_other_thread_writes_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"), hashed_file(tmp_path / "file") as file:
        file.write(bytes(20 * MIB))


@hypothesis
@given(data=st.data())
def test_rows_from_several_places_are_the_tensors_rows(tmp_path, monkeypatch, data):
    """Rows that lie in parts of several files at odd offsets, asked for in any order, in another number format."""
    monkeypatch.setattr(stored, "CHUNK", data.draw(st.sampled_from([8, 24, 64, 4096]), "chunk"))
    dtype, other = data.draw(st.permutations([torch.float32, torch.bfloat16, torch.float16]), "formats")[:2]
    shape = (data.draw(st.integers(1, 12), "rows"), *data.draw(st.sampled_from([(), (3,), (5, 2)]), "row"))
    tensor = torch.randn(shape).to(dtype)
    values, spans = bytes(bytes_of(tensor)), []
    cuts = sorted(data.draw(st.lists(st.integers(0, shape[0]), max_size=3), "cuts"))
    row = len(values) // shape[0]
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, shape[0]], strict=True)):
        before = data.draw(st.binary(max_size=9), "before")
        (tmp_path / str(number)).write_bytes(before + values[start * row : stop * row] + b"after")
        spans.append(Span(SourceFile(tmp_path / str(number)), len(before), (stop - start) * row))
    lying = Stored(shape, dtype, lambda: tensor, spans)
    made = Stored(shape, dtype, lambda: tensor)
    asked = data.draw(st.lists(st.tuples(st.integers(0, shape[0]), st.integers(0, shape[0])), min_size=1), "asked")
    asked = [(min(pair), max(pair)) for pair in asked]
    expected = torch.cat([tensor[start:stop] for start, stop in asked])
    for wanted in (dtype, other):
        for source in (lying, made):
            found = b"".join(map(bytes, contents([(source, start, stop) for start, stop in asked], wanted)))
            assert found == bytes(bytes_of(expected.to(wanted)))
    more = shape[0] + data.draw(st.integers(0, 3), "padding")
    found = b"".join(map(bytes, contents(padded([(lying, 0, shape[0])], more), dtype)))
    assert found == values + bytes((more - shape[0]) * row)
    sizes = data.draw(st.lists(st.integers(0, len(values))), "pieces")
    passing, position = Passing(contents([(lying, 0, shape[0])], dtype)), 0
    for size in sizes:
        size = min(size, len(values) - position)
        assert b"".join(map(bytes, passing.take(size))) == values[position : position + size]
        position += size


@hypothesis
@given(
    reads=st.lists(st.tuples(st.integers(0, 999), st.integers(1, 300))), ordered=st.booleans(), gap=st.integers(0, 400)
)
def test_a_checksum_in_passing_is_right_whatever_is_read(tmp_path, monkeypatch, reads, ordered, gap):
    monkeypatch.setattr(stored, "_GAP", gap)
    content = random.Random(0).randbytes(1300)
    (tmp_path / "file").write_bytes(content)
    file = SourceFile(tmp_path / "file")
    file.hash_in_passing("sha256")

    def read(place: tuple[int, int]) -> bool:
        offset, size = place
        view = memoryview(bytearray(size))
        file.read_into(view, offset)
        return bytes(view) == content[offset : offset + size]

    with ThreadPoolExecutor(1 if ordered else 3) as pool:
        assert all(pool.map(read, sorted(reads) if ordered else reads))
    assert file.checksum() == hashlib.sha256(content).hexdigest()


def test_a_file_that_ends_too_early_is_told(tmp_path):
    (tmp_path / "file").write_bytes(bytes(10))
    with pytest.raises(UserError, match="file ends too early; copy or download it again"):
        SourceFile(tmp_path / "file").read_into(memoryview(bytearray(8)), 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("shape", [(7,), (1, 3, 5), (33, 4)])
def test_a_tensor_that_passed_by_is_one_for_torch(tmp_path, dtype, shape):
    tensor, saved = torch.randn(shape).to(dtype), io.BytesIO()
    torch.save(tensor, saved)
    values = bytes_of(tensor)
    with hashed_file(tmp_path / "file") as file:
        file.write(b"some bytes before")
        start = file.position
        write_tensor(file, shape, dtype, [values[:5], values[5:]])
        end = file.position
        file.write(b"and after")
    archive = io.BytesIO((tmp_path / "file").read_bytes()[start:end])
    loaded = torch.load(archive, weights_only=True)
    assert (loaded.dtype, loaded.shape) == (dtype, torch.Size(shape))
    assert bytes(bytes_of(loaded)) == bytes(values)
    with zipfile.ZipFile(archive) as ours, zipfile.ZipFile(saved) as theirs:
        assert ours.testzip() is None
        for name in ("archive/data.pkl", "archive/byteorder", "archive/version", "archive/data/0"):
            assert ours.read(name) == theirs.read(name)


def test_sha256_file_agrees(tmp_path):
    (tmp_path / "file").write_bytes(random.Random(1).randbytes(3 * MIB + 1))
    file = SourceFile(tmp_path / "file")
    file.hash_in_passing("sha256")
    assert file.checksum() == sha256_file(tmp_path / "file")

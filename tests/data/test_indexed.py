"""Our indexed binaries are megatron-core's: its own reader returns the same documents."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.common.errors import UserError
from megatron_rfft.data.indexed import IndexedTokens, token_dtype, write_indexed


@settings(max_examples=25, deadline=None)
@given(
    documents=st.lists(st.lists(st.integers(0, 65535), min_size=1, max_size=40), min_size=1, max_size=30),
    vocab_size=st.sampled_from([65536, 152064]),
)
def test_megatron_core_reads_what_we_write(tmp_path_factory, documents, vocab_size):
    from megatron_rfft import mcore  # noqa: F401  (installs the CPU layer before megatron-core is imported)
    from megatron.core.datasets.indexed_dataset import IndexedDataset  # isort: skip

    prefix = tmp_path_factory.mktemp("indexed") / "name.with.dots"
    dtype = token_dtype(vocab_size)
    write_indexed(prefix, (np.array(document) for document in documents), dtype)
    theirs, ours = IndexedDataset(str(prefix)), IndexedTokens(prefix)
    assert len(theirs) == len(ours) == len(documents)
    assert theirs[0].dtype == dtype
    for index, document in enumerate(documents):
        assert theirs[index].tolist() == ours[index].tolist() == document
    assert theirs.document_indices.tolist() == list(range(len(documents) + 1))


def test_small_vocabularies_take_two_bytes_and_large_ones_four():
    assert token_dtype(65536).itemsize == 2
    assert token_dtype(65537).itemsize == 4


@pytest.mark.parametrize("damage", ["cut .bin", "cut .idx", "other .idx"])
def test_damaged_files_are_refused(tmp_path, damage):
    prefix = tmp_path / "data"
    write_indexed(prefix, [np.arange(10), np.arange(5)], np.dtype("<i4"))
    victim = tmp_path / f"data{damage.split()[1]}"
    content = victim.read_bytes()
    victim.write_bytes(b"x" * 64 if damage.startswith("other") else content[:-3])
    with pytest.raises(UserError, match="tokenize the corpus again"):
        IndexedTokens(prefix)

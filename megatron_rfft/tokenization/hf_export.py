"""A Hugging Face tokenizer that transformers and vLLM load with the ids of its ``tokenizer.json``, proven on texts.

transformers 5 goes by ``tokenizer_class`` and by the model's config beside it: it may make a tokenizer of its own of
the vocabulary, which splits text otherwise than ``tokenizer.json`` says, and than training did.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.families import FAMILIES
from megatron_rfft.common.files import write_json
from megatron_rfft.tokenization.engines import PROBES, load_backend

# transformers leaves a folder alone that has an auto_map, and (without trust_remote_code) then takes tokenizer_class
# after all. The module does not exist: nothing is to be executed.
KEEP_TOKENIZER_JSON = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "auto_map": {"AutoTokenizer": [None, "needs_no_remote_code.Tokenizer"]},
}
_CONFIG = "tokenizer_config.json"


def settle_config(folder: Path, config: dict[str, Any], texts: Sequence[str]) -> None:
    """Write ``config`` as the tokenizer_config.json of ``folder``, which has its tokenizer.json.

    Where transformers would then encode or decode a text otherwise than tokenizer.json, it is told to keep that file.
    Raises UserError if it does not.
    """
    texts = [*PROBES, *texts]
    write_json(folder / _CONFIG, config)
    if not _difference(folder, texts):
        return
    # What tokenizer.json says itself is left to it.
    said_there = ("added_tokens_decoder", "add_prefix_space", "clean_up_tokenization_spaces", "legacy", "use_fast")
    kept = {key: value for key, value in config.items() if key not in said_there}
    write_json(folder / _CONFIG, {**kept, **KEEP_TOKENIZER_JSON, "clean_up_tokenization_spaces": False})
    if difference := _difference(folder, texts):
        raise UserError(f"{folder / 'tokenizer.json'} is not loaded as it is: {difference}; give another tokenizer")


def _difference(folder: Path, texts: Sequence[str]) -> str | None:
    """What transformers makes otherwise of the tokenizer in ``folder``, beside any family's config; None if nothing."""
    backend = load_backend(folder / "tokenizer.json")
    ids = [encoding.ids for encoding in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
    decoded = backend.decode_batch(ids, skip_special_tokens=False)
    with tempfile.TemporaryDirectory() as temporary, _quiet(logging.getLogger("transformers")):
        beside = Path(copytree(folder, Path(temporary) / "model"))
        for model_type in FAMILIES:
            write_json(beside / "config.json", {"model_type": model_type})
            where = f"beside a {model_type} config, transformers"
            try:
                their_ids, their_texts = _transformers(beside, texts, ids)
            except Exception as error:  # whatever a class makes of a config that is not its own
                return f"{where} cannot use it ({' '.join(str(error).split())[:200]})"
            for text, ours, theirs in zip(texts, ids, their_ids, strict=True):
                if ours != theirs:
                    return f"{where} gives other ids to {text[:60]!r}"
            for ours, theirs in zip(decoded, their_texts, strict=True):
                if ours != theirs:
                    return f"{where} decodes {ours[:60]!r} as {theirs[:60]!r}"
    return None


def _transformers(folder: Path, texts: Sequence[str], ids: list[list[int]]) -> tuple[list[list[int]], list[str]]:
    """The ids that transformers gives to ``texts``, and the texts that it makes of ``ids``."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer(list(texts), add_special_tokens=False)["input_ids"], [tokenizer.decode(each) for each in ids]


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """No warnings of what is about to be found out."""
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)

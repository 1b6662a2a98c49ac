"""Corpora: examples of many tasks and lengths as JSONL shards with a manifest."""

from megatron_rfft.common.restart import Part
from megatron_rfft.corpus.config import CorpusConfig, parse_tasks
from megatron_rfft.corpus.generate import generate_corpus
from megatron_rfft.corpus.presets import corpus_config, load_preset, preset_names
from megatron_rfft.corpus.read import corpus_manifest, read_records

__all__ = [
    "CorpusConfig",
    "Part",
    "corpus_config",
    "corpus_manifest",
    "generate_corpus",
    "load_preset",
    "parse_tasks",
    "preset_names",
    "read_records",
]

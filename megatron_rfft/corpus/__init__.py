"""Corpora: examples of many tasks and lengths as JSONL shards with a manifest."""

from megatron_rfft.corpus.config import CorpusConfig, parse_tasks
from megatron_rfft.corpus.generate import generate_corpus
from megatron_rfft.corpus.read import corpus_manifest, read_records

__all__ = ["CorpusConfig", "corpus_manifest", "generate_corpus", "parse_tasks", "read_records"]

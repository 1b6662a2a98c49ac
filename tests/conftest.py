"""What several test folders share: a checkout to run commands from, and a small tokenized corpus of real tasks."""

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

from megatron_rfft.corpus import CorpusConfig, generate_corpus, read_records
from megatron_rfft.tokenization.sentencepiece_train import train_sentencepiece
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from megatron_rfft.tokenization.tokenizers import load_tokenizer

ROOT = Path(__file__).resolve().parents[1]


def pytest_report_header() -> str | None:
    """Say what is not tested here."""
    return None if find_spec("vllm") else "vLLM is not installed: its tests are skipped, all others take transformers"


TOGETHER = {
    "tests/training/test_command": "runs in every layout",
    "tests/training/test_layouts": "runs in every layout",
    "tests/slurm/": "one cluster",
    "tests/training/test_adapter": "runs with adapters",
}
"""Files that share a fixture which takes minutes, by how their paths begin: one process has it, and all their tests."""

FIRST = (*TOGETHER, "tests/training/", "tests/end_to_end/", "tests/planning/", "tests/conversion/", "tests/evaluation/")
"""How the paths begin of what takes longest: at the end of the suite short files are left, for all processes alike."""


class Together(LoadFileScheduling):
    """pytest-xdist's scheduler of whole files, with TOGETHER."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((name for start, name in TOGETHER.items() if file.startswith(start)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Together | None:
    return Together(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("vllm") and not find_spec("vllm"):
            item.add_marker(pytest.mark.skip(reason="vLLM is not installed"))
    items.sort(key=lambda item: next((i for i, start in enumerate(FIRST) if item.nodeid.startswith(start)), len(FIRST)))


def run_python(*arguments: object, check: bool = True, timeout: int = 300) -> subprocess.CompletedProcess[str]:
    """Run this interpreter from the checkout as a real process; with ``check``, its failure fails the test."""
    command = [sys.executable, *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=env, **piped) as process:
        try:
            done = subprocess.CompletedProcess(command, 0, *process.communicate(timeout=timeout))
        except BaseException:
            process.terminate()  # torchrun then stops its workers, which a kill would leave behind
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            raise
    done.returncode = process.returncode
    if check and done.returncode:
        pytest.fail(f"{arguments} exited with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done


def peak_mib(*arguments: object, timeout: int = 1200) -> int:
    """Peak memory of a command of this interpreter, whatever else was started before."""
    measure = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    measure += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    return int(run_python("-c", measure, sys.executable, *arguments, timeout=timeout).stdout.split()[-1])


def torchrun(num_processes: int, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run ``arguments`` under torchrun on this machine, on a free port."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", num_processes)
    return run_python(*launcher, *arguments, check=check)


def extra_environment(name: str, lock: Path, *modules: str) -> Path:
    """The interpreter of ``venvs/NAME``, which has the pins of ``lock`` beside this environment's packages."""
    words = ["bash", ROOT / "tests/extra_environment.sh", ROOT / "venvs" / name, lock, *modules]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    return Path(done.stdout.strip())


def run_extra(python: Path, *arguments: object) -> None:
    """Run the interpreter of an ``extra_environment``, which does not see this checkout; its failure fails the test."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([python, *arguments], env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]


@dataclass(frozen=True)
class SmallData:
    """A corpus of two tasks, its vocabulary and its data set."""

    corpus: Path
    tokenizer: Path
    prefix: Path


@pytest.fixture(scope="session")
def small_data(tmp_path_factory) -> SmallData:
    """coin_flip at lengths 1-4 and length_int at 2-4 in the lean form, tokenized with 700 pieces."""
    folder = tmp_path_factory.mktemp("data")
    lengths = {"coin_flip": (1, 2, 3, 4), "length_int": (2, 3, 4)}
    corpus = folder / "corpus"
    generate_corpus(CorpusConfig(lengths, samples=60, split="train", form="lean"), corpus)
    texts = (text for record in read_records(corpus) for text in (record["prompt"], record["response"]))
    tokenizer = folder / "tokenizer.model"
    train_sentencepiece(texts, 700, tokenizer)
    tokenize_corpus(corpus, tokenizer, folder / "lean")
    return SmallData(corpus, tokenizer, folder / "lean")


@pytest.fixture(scope="session")
def bigram_model(small_data, tmp_path_factory) -> Path:
    """A Qwen2 whose attention and MLP add nothing: each token alone decides the next one.

    After the line break of a prompt it writes "So the answer is True", then stops.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("models") / "bigram"
    tokenizer = load_tokenizer(small_data.tokenizer)
    line_break, answer = tokenizer.encode("Q: ?\n")[-1], tokenizer.encode("So the answer is True")
    chain = [line_break, *answer, tokenizer.stop_id]
    assert len(set(chain)) == len(chain)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=tokenizer.vocab_size,
            hidden_size=64 * -(-tokenizer.vocab_size // 64),
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
            head_dim=64,
            max_position_embeddings=1024,
            tie_word_embeddings=False,
        )
    )
    following = torch.full((tokenizer.vocab_size,), line_break)
    following[chain[:-1]] = torch.tensor(chain[1:])
    for name, parameter in model.named_parameters():
        torch.nn.init.constant_(parameter, 1.0 if "norm" in name else 0.0)
    with torch.no_grad():
        model.model.embed_tokens.weight.fill_diagonal_(1.0)
        model.lm_head.weight[following, torch.arange(tokenizer.vocab_size)] = 1.0
    model.generation_config.eos_token_id = tokenizer.stop_id  # as exports say it; lm-eval goes by that
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

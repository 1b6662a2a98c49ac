"""Does vLLM give a folder's greedy tokens? Every token that it chooses is compared with transformers' logits.

Two libraries sum in different orders, so where the best two logits are nearly equal either may be chosen, and what
follows is another text. Therefore transformers reads vLLM's answer, and says of each token how far its logit lies below
the best one after the same beginning: nothing at all where they agree, as little as rounding where there was a tie.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json

PROMPTS, PROMPT_LENGTH, NEW_TOKENS = 8, 40, 64
TIE = 1e-4  # of the largest logit; fp32 sums in another order differ by about 1e-6 of it


@dataclass(frozen=True)
class GreedyDifference:
    """A token that vLLM chose and transformers would not; ``position`` counts from the first generated token."""

    prompt: int
    position: int
    vllm: int
    transformers: int
    gap: float
    """Of the two tokens' logits, after the same beginning."""
    largest_logit: float

    @property
    def is_tie(self) -> bool:
        """Whether rounding explains it."""
        return self.gap <= TIE * self.largest_logit


@dataclass(frozen=True)
class GreedyComparison:
    """What was compared, and every difference, in the order of prompts and positions."""

    tokens: int
    differences: list[GreedyDifference]

    @property
    def equal(self) -> bool:
        """Whether every difference is a tie."""
        return all(difference.is_tie for difference in self.differences)

    @property
    def first(self) -> GreedyDifference | None:
        """The first difference that is not a tie, or else the first tie that went the other way."""
        return next((each for each in self.differences if not each.is_tie), next(iter(self.differences), None))

    def as_dict(self) -> dict:
        """For JSON."""
        ties = sum(each.is_tie for each in self.differences)
        first = self.first and {**asdict(self.first), "tie": self.first.is_tie}
        return {"tokens": self.tokens, "ties": ties, "differing": len(self.differences) - ties, "first": first}

    def __str__(self) -> str:
        counts = self.as_dict()
        if self.first is None:
            return f"vLLM's {self.tokens} greedy tokens are transformers' too"
        return (
            f"of vLLM's {self.tokens} greedy tokens {counts['differing']} are not transformers', {counts['ties']} more "
            f"by a tie; first token {self.first.position} of answer {self.first.prompt}: {self.first.vllm} instead of "
            f"{self.first.transformers}, whose logit is {self.first.gap:.1e} larger (the largest is "
            f"{self.first.largest_logit:.1f})"
        )


def require_vllm() -> None:
    """Raise UserError where vLLM is not installed."""
    try:
        version("vllm")
    except PackageNotFoundError as error:
        raise UserError("vLLM is not installed; install it (tools/setup_cpu.sh), or leave --vllm out") from error


def compare_greedy(folder: Path) -> GreedyComparison:
    """Let vLLM answer 8 prompts of 40 random tokens with up to 64 each, and transformers judge, both in fp32.

    One model after the other is in memory. Raises UserError where vLLM is not installed or does not take the model.
    """
    require_vllm()
    config = read_json(folder / "config.json")
    ends = config.get("eos_token_id") or 0
    stop_id = ends[0] if isinstance(ends, list) else ends
    prompts = torch.randint(
        0, config["vocab_size"], (PROMPTS, PROMPT_LENGTH), generator=torch.Generator().manual_seed(1)
    )
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:  # vLLM wants to be imported first
        answers = process.submit(_answer, folder, prompts.tolist(), stop_id).result()
    return judge(folder, prompts.tolist(), answers)


def _answer(folder: Path, prompts: list[list[int]], stop_id: int) -> list[list[int]]:
    from megatron_rfft.evaluation.engines import Request, Start, VllmOptions

    engine = VllmOptions().load(folder, Start("fp32", stop_id, max_length=PROMPT_LENGTH + NEW_TOKENS))
    completions = engine.generate([Request(prompt, NEW_TOKENS) for prompt in prompts])
    in_order = sorted(completions, key=lambda done: done.position)
    return [done.token_ids + [stop_id] * done.stopped for done in in_order]


@torch.inference_mode()
def judge(folder: Path, prompts: list[list[int]], answers: list[list[int]]) -> GreedyComparison:
    """Where transformers in fp32 would not have chosen the tokens of ``answers`` (ids, one list for each prompt)."""
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval().to(device)
    differences = []
    for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        # [answer, vocabulary]: of each token of the answer, after all before it
        logits = model(torch.tensor([prompt + answer[:-1]], device=device)).logits[0, len(prompt) - 1 :].cpu()
        best, largest = logits.argmax(1).tolist(), logits.abs().amax(1).tolist()
        for position, (theirs, ours) in enumerate(zip(answer, best, strict=True)):
            if theirs != ours:
                gap = float(logits[position, ours] - logits[position, theirs])
                differences.append(GreedyDifference(number, position, theirs, ours, gap, largest[position]))
    return GreedyComparison(sum(map(len, answers)), differences)

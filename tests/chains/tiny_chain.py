"""A chain of shell scripts for the local backend: ``python -m tests.chains.tiny_chain RUN STAGES.json CORES``."""

import json
import sys
from pathlib import Path

from megatron_rfft.chains.config import ChainConfig, EvaluateSection, LocalSection, PretrainSection
from megatron_rfft.chains.local import run_locally
from megatron_rfft.chains.machine import Machine
from megatron_rfft.chains.stage import Stage, Task, missing_tasks


class TinyChain:
    """Of ``stages``: by name, a list of [script, needs] that each leave RUN/STAGE-NUMBER; the last one is wanted."""

    def __init__(self, run: Path, stages: dict[str, list], cores: dict[str, int] | None = None):
        self.run, self.scripts = run, run / "chain"
        self.config = ChainConfig(
            str(run),
            tokenizer="unused",
            pretrain=PretrainSection(config="unused"),
            evaluate=EvaluateSection(tasks=["length_int"]),
            local=LocalSection(stages=cores or {}),
        )
        self.stages = [
            Stage(name, [self._task(name, *task, number) for number, task in enumerate(tasks)], self.scripts / name)
            for name, tasks in stages.items()
        ]

    def _task(self, stage: str, script: str, needs: dict, number: int) -> Task:
        made = self.run / f"{stage}-{number}"
        text = f"set -eu\ncd {self.run}\n{script}\ntouch {made}\n"
        return Task(f"task {number}", text, made.is_file, needs)

    def missing(self) -> dict[str, list[int]]:
        return missing_tasks(self.stages, (self.stages[-1].name, 0))

    def check_inputs(self) -> None:
        pass


if __name__ == "__main__":
    run, file, cores = sys.argv[1:]
    chain = TinyChain(Path(run), json.loads(Path(file).read_text()))
    sys.exit(run_locally(chain, Path("chain.yaml"), Machine(int(cores))))

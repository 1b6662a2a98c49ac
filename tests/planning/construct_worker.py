"""Construct ranks of several runs in one process: ``construct_worker.py JOBS.json`` writes JOBS.results.json.

A job is ``{"config": {...}, "world_size": N, "ranks": [...], "steps": 0, "forward": true}``.
"""

import dataclasses
import json
import sys
from pathlib import Path

from megatron_rfft.planning.construct import construct_rank
from megatron_rfft.training.config_reader import config_from_dict


def main(path: Path) -> None:
    results = []
    for job in sorted(
        json.loads(path.read_text()), key=lambda job: -job["steps"]
    ):  # real tensors first, then fake ones
        config = config_from_dict(job["config"])
        options = {"steps": job["steps"], "forward": job["forward"]}
        built = [construct_rank(config, job["world_size"], rank, **options) for rank in job["ranks"]]
        results.append({"name": job["name"], "ranks": [dataclasses.asdict(one) for one in built]})
    path.with_suffix(".results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

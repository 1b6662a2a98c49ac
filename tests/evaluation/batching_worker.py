"""Answers the same requests at once and in three parts, with and without prefix caching; a process of its own."""

import json
import sys
from pathlib import Path

from megatron_rfft.evaluation.engines import Request, Start, VllmOptions


def answers(engine, requests: list[Request]) -> list[list]:
    """Ids and whether each answer ended, in the order of the requests."""
    found = sorted(engine.generate(requests), key=lambda done: done.position)
    return [[done.token_ids, done.stopped] for done in found]


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    requests = [Request(ids, budget) for ids, budget in job["requests"]]
    found = {}
    for cached in (True, False):
        start = Start("float32", job["stop_id"], max_length=job["max_length"])
        engine = VllmOptions(prefix_caching=cached).load(Path(job["model"]), start)
        found[f"whole {cached}"] = answers(engine, requests)
        parts: list = [None] * len(requests)
        for part in range(3):
            engine.reset_prefix_cache()
            parts[part::3] = answers(engine, requests[part::3])
        found[f"parts {cached}"] = parts
        found[f"described {cached}"] = engine.describe()
        found[f"hits {cached}"] = engine.statistics().get("prefix_cache_hit_rate", 0)
        del engine
    Path(job["output"]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()

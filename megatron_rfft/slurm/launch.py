"""torchrun that keeps the exit code of the process that failed first (torchrun's own is always 1), and leaves word.

srun can't be asked instead: told to end, it may return 0 for tasks that it killed.
"""

import json
import os
import socket
import sys
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

from megatron_rfft.common.files import write_json

LINE_PREFIX = "[rank${rank}]:"
"""Before each line of a process (``--tee``), where torchrun's own has the rank within the node."""


def main(arguments: list[str] | None = None) -> int:
    """``launch --outcome FOLDER [torchrun's arguments]``; leaves ``finished-HOST`` there, or ``failure-HOST.json``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] != ["--outcome"] or len(arguments) < 3:
        print("usage: launch --outcome FOLDER [torchrun's arguments]", file=sys.stderr)
        return 2
    os.environ["TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE"] = LINE_PREFIX
    folder, host = Path(arguments[1]), socket.gethostname()
    try:
        torchrun(arguments[2:])
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        code = failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
        about = {"host": host, "rank": rank, "local_rank": failure.local_rank, "exit_code": code}
        about["node"] = os.environ.get("SLURMD_NODENAME", host)
        about |= {"time": failure.timestamp, "process": failure.pid}
        write_json(folder / f"failure-{host}.json", about)
        print(f"first failure on {host}: {json.dumps(about)}", file=sys.stderr)
        return code
    (folder / f"finished-{host}").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())

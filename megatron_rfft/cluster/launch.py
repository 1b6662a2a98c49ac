"""torchrun that keeps the exit code: of the process that failed first, where torchrun always says 1."""

import json
import socket
import sys
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

from megatron_rfft.common.files import write_json


def main(arguments: list[str] | None = None) -> int:
    """``launch --failures FOLDER [torchrun's arguments]``; leaves ``FOLDER/failure-HOST.json`` if a process fails."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] != ["--failures"] or len(arguments) < 3:
        print("usage: launch --failures FOLDER [torchrun's arguments]", file=sys.stderr)
        return 2
    try:
        torchrun(arguments[2:])
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        code = failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
        host = socket.gethostname()
        about = {"host": host, "rank": rank, "local_rank": failure.local_rank, "exit_code": code}
        about |= {"time": failure.timestamp, "process": failure.pid}
        write_json(Path(arguments[1]) / f"failure-{host}.json", about)
        print(f"first failure on {host}: {json.dumps(about)}", file=sys.stderr)
        return code
    return 0


if __name__ == "__main__":
    sys.exit(main())

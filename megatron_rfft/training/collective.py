"""What one rank does for all, and what all do together."""

from collections.abc import Callable
from typing import Any

import torch

from megatron_rfft.common.errors import CommandFailed, UserError


def on_first_rank(work: Callable[[], Any]) -> Any:
    """What ``work`` returns on the first rank, on every rank; so is its UserError or CommandFailed, raised."""
    answer: list[Any] = [None, None]
    if torch.distributed.get_rank() == 0:
        try:
            answer[0] = work()
        except (UserError, CommandFailed) as error:
            answer[1] = (type(error), str(error))
    torch.distributed.broadcast_object_list(answer)
    if answer[1] is not None:
        kind, message = answer[1]
        raise kind(message)
    return answer[0]

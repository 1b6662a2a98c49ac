"""``python -m megatron_rfft VERB ...`` is ``rfft VERB ...``."""

from megatron_rfft.commands.main import run

run()

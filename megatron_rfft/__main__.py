"""``python -m megatron_rfft VERB ...`` is ``rfft VERB ...``."""

from megatron_rfft.commands.main import run

if __name__ == "__main__":  # not in processes that multiprocessing spawns
    run()

"""Whether TensorBoard and Weights & Biases can be written to, asked before anything slow begins."""

import configparser
import importlib
import importlib.util
import netrc
import os
from pathlib import Path
from urllib.parse import urlparse

from megatron_rfft.common.errors import UserError
from megatron_rfft.training.config import LoggingSection

_WITHOUT_KEY = ("offline", "disabled", "dryrun")
"""Modes of wandb that send nothing."""


def require_boards(logging: LoggingSection) -> None:
    """Raise UserError if a board is asked for whose package is not there, or that would stop to ask for a key."""
    if logging.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise UserError(
            "logging.tensorboard is true, but tensorboard is not installed; pip install tensorboard, or set it to false"
        )
    if logging.wandb is None:
        return
    if importlib.util.find_spec("wandb") is None:
        raise UserError("logging.wandb is set, but wandb is not installed; pip install wandb, or set it to null")
    if not _has_wandb_key():
        raise UserError(
            "logging.wandb is set, but Weights & Biases has no key here; run wandb login, or set WANDB_API_KEY (or "
            "WANDB_MODE=offline to send the run later)"
        )


def _has_wandb_key() -> bool:
    """Whether wandb finds a key where it looks for one, or needs none."""
    named = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
    settings = configparser.ConfigParser()
    home = Path(os.environ.get("WANDB_CONFIG_DIR", Path.home() / ".config" / "wandb"))
    settings.read([home / "settings", Path("wandb") / "settings"])
    mode = os.environ.get("WANDB_MODE") or settings.get("default", "mode", fallback="")
    if mode in _WITHOUT_KEY or any(os.environ.get(name) for name in named):
        return True
    url = os.environ.get("WANDB_BASE_URL") or settings.get("default", "base_url", fallback="https://api.wandb.ai")
    try:
        if netrc.netrc(os.environ.get("NETRC")).authenticators(urlparse(url).hostname or "") is not None:
            return True
    except (OSError, netrc.NetrcParseError):
        pass
    # It knows other places, such as a cloud's secrets; loading it takes seconds.
    return bool(getattr(getattr(importlib.import_module("wandb"), "api", None), "api_key", None))

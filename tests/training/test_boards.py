"""TensorBoard that is not installed and Weights & Biases without a key: said before the start."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.training.boards import require_boards
from megatron_rfft.training.config import LoggingSection


@pytest.fixture
def wandb(tmp_path, monkeypatch) -> ModuleType:
    """An installed wandb on a machine where nobody has logged in."""
    module = ModuleType("wandb")
    module.__spec__ = SimpleNamespace(name="wandb")
    monkeypatch.setitem(sys.modules, "wandb", module)
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_CONFIG_DIR", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.chdir(tmp_path)
    return module


BOTH = LoggingSection(wandb="project")


def refusal(logging: LoggingSection) -> str | None:
    """What is said before the start; None where the run may begin."""
    try:
        return require_boards(logging)
    except UserError as error:
        return str(error)


def test_tensorboard_that_is_not_installed_is_said(monkeypatch):
    assert refusal(LoggingSection()) is None
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert "tensorboard is not installed; pip install tensorboard, or set it to false" in refusal(LoggingSection())
    assert refusal(LoggingSection(tensorboard=False)) is None


def test_wandb_without_a_key_is_said(wandb):
    assert "has no key here; run wandb login, or set WANDB_API_KEY" in refusal(BOTH)


@pytest.mark.parametrize(("name", "value"), [("WANDB_API_KEY", "x"), ("WANDB_MODE", "offline")])
def test_a_key_or_a_mode_without_one_by_a_variable(wandb, monkeypatch, name, value):
    assert "has no key here" in refusal(BOTH)
    monkeypatch.setenv(name, value)
    assert refusal(BOTH) is None


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".netrc", "machine api.wandb.ai login user password x"),
        (".config/wandb/settings", "[default]\nmode = offline\n"),
        ("wandb/settings", "[default]\nmode = disabled\n"),
    ],
)
def test_a_key_or_a_mode_without_one_by_a_file(wandb, tmp_path, file, text):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("")
    assert "has no key here" in refusal(BOTH)
    (tmp_path / file).write_text(text)
    assert refusal(BOTH) is None


def test_the_key_is_that_of_the_server_that_is_asked(wandb, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password x")
    assert refusal(BOTH) is None
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org:8080")
    assert "has no key here" in refusal(BOTH)


def test_a_key_that_wandb_itself_finds(wandb):
    for key, message in ((None, "has no key here"), ("x", "None")):
        wandb.api = SimpleNamespace(api_key=key)
        assert message in str(refusal(BOTH))

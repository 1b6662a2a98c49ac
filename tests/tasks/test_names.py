"""Tasks that have another name now: the old one is read, and every example is as it was."""

import hashlib

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.tasks import current_name, list_tasks, load_task, load_task_file
from megatron_rfft.tasks.names import OLD_NAMES

EXAMPLES = "2c5ef2bd68a3213d84622457f4d4caf2b7c58005af8ca2518b55ed8f2ee4dc47"
"""SHA-256 of some prompts and responses, written down before the tasks were renamed."""


def test_an_old_name_is_read_as_the_new_one():
    for old, new in OLD_NAMES.items():
        task = load_task(old)
        assert task is load_task(new)
        assert (task.name, task.source) == (new, old)
    assert not OLD_NAMES.keys() & set(list_tasks())
    assert current_name("lc_412+rename") == load_task("lc_412+rename").name == "fizz_buzz+rename"
    assert [current_name(name) for name in ("coin_flip", "random_lists+random_names=0.5", "")] == [
        *("coin_flip", "random_lists+random_names=0.5", "")
    ]


def test_a_renamed_task_keeps_its_examples():
    """A new name raises no version, so no byte of a prompt or a response may change with it."""
    found = hashlib.sha256()
    for old in OLD_NAMES:
        for task in (load_task(old), load_task(f"{old}+rename")):
            for split in ("train", "test"):
                example = task.example(task.valid_lengths[4], split, 1)
                found.update((example.prompt + example.response).encode())
    assert found.hexdigest() == EXAMPLES


@pytest.mark.parametrize("name", ["lc_412", "fizz_buzz"])
def test_neither_name_is_free_for_a_task_of_one_s_own(tmp_path, name):
    file = tmp_path / f"{name}.py"
    file.write_text("")
    with pytest.raises(UserError, match=f"a task called {name} is there already"):
        load_task_file(file)

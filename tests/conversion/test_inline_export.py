"""``checkpoint.export_hf``: the trainer leaves a Hugging Face folder with its checkpoints."""

import yaml

from megatron_rfft.conversion.verify import first_difference
from tests.conftest import run_python
from tests.training.conftest import small_config


def test_a_run_exports_its_last_checkpoint(small_data, tmp_path):
    config = small_config(small_data.prefix, tmp_path / "run")
    config["run"]["steps"] = 4
    config["checkpoint"] = {"interval": 2, "keep": 1, "export_hf": True}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "run/hf/step-00000000").mkdir(parents=True)  # of a checkpoint that is gone
    run_python("-m", "megatron_rfft.train", "--config", tmp_path / "run.yaml")
    assert [path.name for path in (tmp_path / "run/hf").iterdir()] == ["step-00000004"]
    name = "step-00000004"
    assert first_difference(tmp_path / "run/hf" / name, tmp_path / "run/checkpoints" / name) == ""

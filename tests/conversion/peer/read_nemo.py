"""Run by the environment of nemo-toolkit: unpack a ``.nemo`` file and read its config, as NeMo does.

Arguments: the file, a folder to unpack to, a JSON file for the config.
"""

import json
import sys

import absent

# NVIDIA's telemetry, which no public registry has.
absent.install("nv_one_logger")

from nemo.core.classes import ModelPT  # noqa: E402
from nemo.core.connectors.save_restore_connector import SaveRestoreConnector  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402


def main() -> None:
    archive, folder, config = sys.argv[1:]
    connector = SaveRestoreConnector()
    connector._unpack_nemo_file(archive, folder)
    read = connector.restore_from(ModelPT, archive, return_config=True)
    with open(config, "w") as handle:
        json.dump(OmegaConf.to_container(read), handle)


if __name__ == "__main__":
    main()

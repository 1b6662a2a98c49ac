"""megatron-core's warnings: in a file, once each, and not on the terminal; errors there at once."""

import subprocess
import sys

from tests.conftest import ROOT, run_python

SAY = """
import logging, sys, warnings
from pathlib import Path
from megatron_rfft.mcore import write_warnings
core = logging.getLogger("megatron.core.somewhere")
core.warning("before the file")
with write_warnings(Path(sys.argv[1])):
    for step in range(3):
        core.warning("each %s", "step")
    warnings.warn_explicit("a setting is changed", UserWarning, sys.argv[2] + "/megatron/core/config.py", 7)
    core.error("something broke")
core.warning("after the file")
"""


def test_what_megatron_core_warns_of_goes_into_the_file(tmp_path):
    file = tmp_path / "megatron.log"
    done = subprocess.run(
        [sys.executable, "-c", SAY, file, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = [line.split(" megatron", 1)[1] for line in file.read_text().splitlines() if ".somewhere" in line]
    assert lines == [
        ".core.somewhere: before the file",
        ".core.somewhere: each step",
        ".core.somewhere: something broke",
    ]
    assert "WARNING megatron: config.py:7: UserWarning: a setting is changed" in file.read_text()
    assert done.stderr.strip() == "something broke"


def test_a_broken_transformer_engine_counts_as_absent(tmp_path):
    """megatron-core itself would end with the library's own error."""
    package = tmp_path / "transformer_engine"
    package.mkdir()
    (package / "__init__.py").write_text("raise OSError('libcudnn.so.9: not found\\nmore')")
    say = "import runpy, sys; sys.path.insert(0, sys.argv[1])"  # not by its name: that loads megatron-core first
    say += "; print(runpy.run_path('megatron_rfft/mcore/te_loading.py')['why_no_te']())"
    say += "; from megatron_rfft.mcore import te_extension; print(te_extension.HAVE_TE)"
    done = run_python("-c", say, tmp_path)
    assert done.stdout.splitlines()[:2] == ["libcudnn.so.9: not found", "False"]

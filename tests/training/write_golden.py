"""Write the losses on record anew: ``python -m tests.training.write_golden`` (then read the difference in git)."""

import pytest

from tests.training.conftest import GOLDEN, STEPS


class Writer:
    """A pytest plugin with one test's fixture: the measured runs."""

    @pytest.fixture(scope="session", autouse=True)
    def write(self, runs):
        for name, path in GOLDEN.items():
            rows = [f"{step} {row[0]!r} {row[1]!r}" for step, row in enumerate(runs[name]["whole"][:STEPS], 1)]
            path.write_text("# step loss gradient-norm\n" + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(pytest.main(["tests/training/test_layouts.py", "-q", "-k", "on_record"], plugins=[Writer()]))

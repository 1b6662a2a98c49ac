"""One Slurm cluster for all tests that need it."""

import pytest

from tests.slurm.cluster import Cluster, ClusterUnavailable, install_slurm


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A cluster of 4 nodes with 8 GPUs each, all up; the test is skipped where there can be none."""
    try:
        install_slurm()
        running = Cluster(tmp_path_factory.mktemp("slurm"))
        running.__enter__()
    except ClusterUnavailable as reason:
        pytest.skip(str(reason))
    yield running
    running.__exit__()


@pytest.fixture
def whole_cluster(cluster):
    """The cluster for a test that takes nodes away: all are up again before the next test."""
    yield cluster
    for name, node in cluster.nodes.items():
        if node.process is None:
            cluster.boot(name)
    cluster.wait_for_nodes()

"""A Ray cluster whose nodes are processes of this machine, small, and nothing left of it afterwards."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from tests.support.waiting import LONG

STORE = 100 * 2**20  # bytes


@contextmanager
def nodes(count, cpus=1, gpus=0):
    """A cluster of ``count`` nodes with ``cpus`` CPUs and ``gpus`` GPUs each, and one without any that is never killed.

    GPUs are there by the nodes' own account: nobody may compute on them.
    """
    from ray.cluster_utils import Cluster

    class Patient(Cluster):
        """Ray's own waits half a minute for a node, which a busy machine may want."""

        def _wait_for_node(self, node, timeout=LONG):
            super()._wait_for_node(node, timeout)

    # a name of its own, and short: Ray's sockets lie below it
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    own = {"object_store_memory": STORE, "include_dashboard": False}
    Path(folder, "ray").mkdir()  # where it notes its address
    with patch.dict(os.environ, RAY_TMPDIR=folder):
        cluster = Patient(initialize_head=True, head_node_args={"num_cpus": 0, **own})
    try:
        for _ in range(count):
            cluster.add_node(num_cpus=cpus, num_gpus=gpus, **own)
        yield cluster
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)

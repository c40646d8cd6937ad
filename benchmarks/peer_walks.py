"""Random walks by a peer, in an environment of its own: imports nothing of this project.

    PYTHON peer_walks.py '{"peer": "pecanpy", "graph": "graph.csr.npz", ...}'

Every peer is compiled and warmed up on a few walks first, and gets the graph in memory before the
clock of its walks starts; loading and preparing are reported beside.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

SPEC = json.loads(sys.argv[1])
COUNT, LENGTH, P, Q = (SPEC[name] for name in ("walks_per_item", "walk_length", "p", "q"))


def pecanpy(mode):
    """PecanPy in one of its modes: its compiled part alone, or what its user calls."""
    from pecanpy import pecanpy as modes

    mode, _, call = mode.partition(".")
    began = time.perf_counter()
    graph = getattr(modes, mode)(p=P, q=Q, workers=SPEC["threads"], random_state=0)
    graph.read_npz(SPEC["graph"], weighted=mode != "FirstOrderUnweighted")
    graph.preprocess_transition_probs()
    prepared = time.perf_counter() - began
    if call:
        graph.simulate_walks(1, 2)  # compiles
        return prepared, measure(lambda: graph.simulate_walks(COUNT, LENGTH - 1))
    has_neighbors, forward = graph.get_has_nbrs(), graph.get_move_forward()

    class Silent:
        def update(self, count):
            """Show nothing."""

    from numba_progress import ProgressBar

    with ProgressBar(total=1, disable=True) as bar:

        def walk(starts):
            jobs = len(starts), LENGTH - 1, 0, starts, has_neighbors, forward, bar
            return graph._random_walks(*jobs)

        starts = np.tile(np.arange(graph.num_nodes, dtype=np.uint32), COUNT)
        starts = np.random.default_rng(0).permutation(starts)
        walk(starts[:64])
        return prepared, measure(lambda: walk(starts))


def csrgraph(mode):
    """csrgraph; its weights are the inverse of p and q."""
    import csrgraph as package
    from scipy import sparse

    began = time.perf_counter()
    arrays = np.load(SPEC["graph"])
    parts = arrays["data"], arrays["indices"].astype(np.int64), arrays["indptr"].astype(np.int64)
    graph = package.csrgraph(sparse.csr_matrix(parts), threads=SPEC["threads"])
    prepared = time.perf_counter() - began
    options = {"return_weight": 1 / P, "neighbor_weight": 1 / Q}
    graph.random_walks(walklen=LENGTH, epochs=1, start_nodes=np.arange(64), **options)
    return prepared, measure(lambda: graph.random_walks(walklen=LENGTH, epochs=COUNT, **options))


def torch_cluster(mode):
    """torch-cluster, which ignores weights."""
    import torch
    import torch_cluster  # noqa: F401 - registers the operator

    torch.set_num_threads(SPEC["threads"])
    began = time.perf_counter()
    arrays = np.load(SPEC["graph"])
    rowptr, col = (torch.from_numpy(arrays[n].astype(np.int64)) for n in ("indptr", "indices"))
    starts = torch.arange(len(rowptr) - 1).repeat(COUNT)
    prepared = time.perf_counter() - began
    walk = torch.ops.torch_cluster.random_walk
    walk(rowptr, col, starts[:64], LENGTH - 1, P, Q)
    return prepared, measure(lambda: walk(rowptr, col, starts, LENGTH - 1, P, Q))


def measure(function):
    """Seconds and CPU seconds of a call."""
    clock, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - clock, time.process_time() - cpu


def peak_mb():
    """Peak memory of this program; what getrusage says may be that of the parent before it."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main():
    """Walk, and print what it took."""
    prepared, (seconds, cpu) = globals()[SPEC["peer"]](SPEC.get("mode"))
    num_items = len(np.load(SPEC["graph"])["indptr"]) - 1
    print(
        json.dumps(
            {
                "work": num_items * COUNT * (LENGTH - 1),
                "seconds": seconds,
                "cpu_seconds": cpu,
                "prepare_seconds": prepared,
                "peak_mb": peak_mb(),
            }
        )
    )


main()

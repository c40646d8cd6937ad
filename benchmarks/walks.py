"""Random walks, ten of ten items from every item, first order and node2vec.

The peers need environments of their own, since PecanPy wants an old numpy and torch-cluster is
built against the torch that it finds:

    python -m venv peers && peers/bin/pip install pecanpy csrgraph
    python -m venv peers-torch && peers-torch/bin/pip install torch setuptools wheel &&
        peers-torch/bin/pip install --no-build-isolation torch-cluster
    python -m benchmarks walks --peers-python peers/bin/python peers-torch/bin/python

A peer that none of these can import is reported as absent. PecanPy is timed as its user calls it
(`simulate_walks`, which names the items of every walk), and by its compiled part alone. csrgraph's
second order biases the wrong neighbours and torch-cluster takes neither weights nor p > 1 or q < 1,
so they stand for speed only.
"""

import argparse
import json
from pathlib import Path

from benchmarks.child import timed
from benchmarks.harness import Comparison, Contender, Run, run_alone
from benchmarks.inputs import SEED, WALK_LENGTH, WALKS_PER_ITEM, Inputs
from recsys_lab.data.sequences import Walks

ORDERS = {"first order": (1.0, 1.0), "node2vec, p = 0.5, q = 2": (0.5, 2.0)}
PEERS = {  # by order: (module, mode)
    "first order": (
        ("pecanpy", "FirstOrderUnweighted.simulate_walks"),
        ("pecanpy", "FirstOrderUnweighted"),
        ("pecanpy", "PreCompFirstOrder.simulate_walks"),
        ("pecanpy", "PreCompFirstOrder"),
        ("csrgraph", ""),
        ("torch_cluster", ""),
    ),
    "node2vec, p = 0.5, q = 2": (
        ("pecanpy", "SparseOTF.simulate_walks"),
        ("pecanpy", "SparseOTF"),
        ("pecanpy", "PreComp"),
        ("csrgraph", ""),
    ),
}
EPOCHS = 4  # of this project: one takes a fraction of a second, too short for a steady figure
MOST_PRECOMPUTED = 20_000  # items; PecanPy's PreComp holds a table for every pair of pairs


def measure(size: str, folder: str, p: float, q: float) -> Run:
    """All walks of some epochs; graph, tables and frequencies count as preparation."""
    inputs = Inputs(size, folder)
    assert inputs.prepared is not None  # read before the clock runs
    walks, prepared = timed(
        lambda: Walks(inputs.graph, WALKS_PER_ITEM, WALK_LENGTH, seed=SEED, p=p, q=q)
    )
    walks.draw(0, 0, 64)

    def draw() -> int:
        tables = (walks.draw(epoch, 0, walks.count) for epoch in range(EPOCHS))
        return sum(table.shape[0] * (table.shape[1] - 1) for table in tables)

    steps, measured = timed(draw)
    return {"work": steps, "prepare_seconds": prepared["seconds"], **measured}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where the peers are."""
    parser.add_argument("--peers-python", nargs="*", default=[], metavar="PYTHON",
                        help="interpreters of environments with peers")  # fmt: skip


def compare(inputs: Inputs, options: argparse.Namespace) -> list[Comparison]:
    """One comparison for each order."""
    homes = find_peers(options.peers_python)
    found = []
    for order, (p, q) in ORDERS.items():
        where = inputs.arguments
        contenders = [
            Contender.project("recsys_lab", "walks.measure", options.threads, p=p, q=q, **where)
        ]
        comparison = Comparison(order, "steps", columns={"s to prepare": "prepare_seconds"})
        for module, mode in PEERS[order]:
            name = f"{module} {mode}".strip()
            if module not in homes:
                comparison.absent[name] = "no interpreter of --peers-python has it"
            elif mode == "PreComp" and len(inputs.graph) > MOST_PRECOMPUTED:
                comparison.absent[name] = f"beyond {MOST_PRECOMPUTED:,} items for its memory"
            else:
                spec: Run = {
                    "peer": module,
                    "mode": mode,
                    "graph": str(inputs.graph_file.resolve()),
                }
                spec |= {"walks_per_item": WALKS_PER_ITEM, "walk_length": WALK_LENGTH}
                spec |= {"p": p, "q": q, "threads": options.threads}
                script = str(Path(__file__).with_name("peer_walks.py"))
                command = (homes[module], script, json.dumps(spec))
                contenders.append(Contender(name, command, is_peer=True))
        found.append(comparison.measure(options.choose(contenders), options.repeats))
    return found


def find_peers(interpreters: list[str]) -> dict[str, str]:
    """The interpreter that has each peer."""
    modules = sorted({module for peers in PEERS.values() for module, _ in peers})
    script = (
        "import importlib.util as u, json, sys;"
        "print(json.dumps({m: bool(u.find_spec(m)) for m in sys.argv[1:]}))"
    )
    homes: dict[str, str] = {}
    for interpreter in interpreters:
        has = run_alone([interpreter, "-c", script, *modules])
        homes |= {module: interpreter for module in modules if has[module]}
    return homes

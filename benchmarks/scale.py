"""The figures of docs/scale.md: several processes and large catalogues, computed and simulated.

    python -m benchmarks.scale                        (the embedded catalogue)
    python -m benchmarks.scale --catalog FILE         (Amazon metadata)

Four tables: rows that ranks touch between two exchanges, and the speed that follows from their
bytes; the wait for the slowest rank; checkpoints and failures; what one machine holds.
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh

from benchmarks.ablations import load
from benchmarks.harness import show
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.walks import expected_frequencies, num_walks, random_walks
from recsys_lab.models.exchange import choose_interval, exchange_times

WALKS_PER_ITEM, WALK_LENGTH, WALKS_PER_BATCH = 10, 10, 1200
TABLES = 2  # of centers and of contexts
NETWORKS = {"10 Gbit/s": 1.25e9, "100 Gbit/s": 12.5e9, "NVLink": 450e9}  # bytes/s, one way
# Whole runs, `benchmarks/RESULTS.md`: items, seconds, MB at the sizes of Electronics and Books.
MEASURED = (418_180, 91.6, 2_193), (1_996_884, 585.7, 7_135)

Rows = list[list[str]]


def row_bytes(dim: int, *, in_half: bool) -> int:
    """Bytes of a row of one table that is sent: accumulator and weights."""
    return 4 + dim * (2 if in_half else 4)


def mask_per_item(num_items: int, exchanges: int, places: float, ranks: int) -> float:
    """Bytes of the bits by which a rank tells the others what it touched, for an item it trains."""
    return TABLES * math.ceil(num_items / 8) * (ranks - 1) * exchanges / places


def sent_per_item(touched: float, union: float, places: float, ranks: int, row: int) -> float:
    """Bytes that a rank sends for an item that it trains, if rows have owners.

    Args:
        touched: rows of a table that one rank touched.
        union: rows that any rank touched.
        places: items that the rank trained.
        ranks: number of ranks.
        row: bytes of a row.
    """
    return TABLES * row * (touched + union) * (ranks - 1) / ranks / places


def gathered_per_item(touched: float, places: float, ranks: int, row: int) -> float:
    """The same if each rank sends its rows to all others."""
    return TABLES * row * touched * (ranks - 1) / places


def count_rows(
    every: np.ndarray, num_items: int, parts: np.ndarray | None, ranks: int, walks: int
) -> np.ndarray:
    """Rows that one rank touches, that any touches, and that more than one does.

    Args:
        every: (W, L) walks.
        num_items: N.
        parts: (N,) rank whose walks start at an item; None: walks are dealt out in turns.
        ranks: number of ranks.
        walks: of each rank.
    """
    counts = np.zeros(num_items, np.int64)
    alone = []
    for rank in range(ranks):
        own = every[rank::ranks] if parts is None else every[parts[every[:, 0]] == rank]
        items = own[:walks]
        touched = np.unique(items[items >= 0])
        alone.append(len(touched))
        counts[touched] += 1
    return np.array([np.mean(alone), (counts > 0).sum(), (counts > 1).sum()])


def partition(graph: ItemGraph, ranks: int) -> np.ndarray:
    """(N,) parts of one size that cut few edges: items in spectral order, cut into ranges.

    The order is by the second eigenvector of the normalised adjacency matrix (Shi and Malik, 2000).
    """
    links = sparse.csr_matrix((graph.weights.astype(float), graph.indices, graph.indptr))
    links.resize(len(graph), len(graph))
    links = links + links.T
    roots = np.sqrt(np.maximum(np.asarray(links.sum(1)).ravel(), 1e-12))
    normal = sparse.diags(1 / roots) @ links @ sparse.diags(1 / roots)
    start = np.random.default_rng(0).random(len(graph))
    _, vectors = eigsh(normal, k=min(5, len(graph) - 1), which="LA", v0=start)
    parts = np.empty(len(graph), np.int64)
    parts[np.argsort(vectors[:, -2] / roots)] = np.arange(len(graph)) * ranks // len(graph)
    return parts


def exchanges(prepared: PreparedData, sizes: Sequence[int], dim: int, speed: float) -> Rows:
    """Rows, bytes and speeds of some numbers of ranks in the first epoch, with chosen intervals."""
    train = prepared.split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    frequencies, batch = expected_frequencies(graph, WALK_LENGTH), WALKS_PER_BATCH * WALK_LENGTH
    count = num_walks(graph, WALKS_PER_ITEM)
    every = random_walks(graph, WALKS_PER_ITEM, WALK_LENGTH, epoch=0, first=0, count=count, seed=0)
    rows = [["ranks, walks", "exchanges", "rows of a rank", "of any", "of several",
             "bytes/item, to all", "to owners", "bf16",
             *(f"speed, {name}" for name in NETWORKS)]]  # fmt: skip
    for ranks in sizes:
        batches = max(1, count // (WALKS_PER_BATCH * ranks))
        most = choose_interval(frequencies, batch, ranks)
        times = [0, *exchange_times(0, batches, most, ranks), batches]
        cut = partition(graph, ranks)
        ends = cut[train.ids]
        share = (ends[:, 0] != ends[:, 1]).mean()
        ways = {"in turns": None, f"partitioned, {share:.0%} of pairs cut": cut}
        for name, parts in ways.items():
            found = np.array([
                count_rows(every, len(graph), parts, ranks, int(length) * WALKS_PER_BATCH)
                for length in np.diff(times)
            ])  # fmt: skip
            touched, union, _ = found.sum(0)
            whole, half = (row_bytes(dim, in_half=x) for x in (False, True))
            places = batches * batch
            masks = mask_per_item(len(graph), len(found), places, ranks)
            gathered = masks + gathered_per_item(touched, places, ranks, whole)
            own, small = (
                masks + sent_per_item(touched, union, places, ranks, x) for x in (whole, half)
            )
            speeds = [ranks / (1 + small * speed / network) for network in NETWORKS.values()]
            numbers = (len(found), *found.mean(0), gathered, own, small)
            rows.append([f"{ranks}, {name}", *(f"{x:,.0f}" for x in numbers),
                         *(f"{x:.2f}" for x in speeds)])  # fmt: skip
    return rows


def stragglers(sizes: Sequence[int], intervals: Sequence[int], spread: float) -> Rows:
    """Share of the time that ranks train, where each exchange waits for the slowest.

    The time of a batch is lognormal with mean 1 and standard deviation `spread`; beside it, one
    rank is always 10 % slower.
    """
    rng = np.random.default_rng(0)
    sigma = math.sqrt(math.log1p(spread**2))
    rows = [["ranks", *(f"{n} batches" for n in intervals), "and one rank 10 % slower"]]
    for ranks in sizes:
        cells: list[str] = []
        for batches in (*intervals, intervals[-1]):
            draws = np.exp(rng.normal(-(sigma**2) / 2, sigma, (200, ranks, batches))).sum(-1)
            if len(cells) == len(intervals):
                draws[:, 0] *= 1.1
            cells.append(f"{batches / draws.max(1).mean():.3f}")
        rows.append([str(ranks), *cells])
    return rows


def young(write: float, between_failures: float) -> tuple[float, float]:
    """Seconds between two checkpoints, and the share of time lost (Young 1974; Daly 2006).

    Args:
        write: seconds that a checkpoint takes.
        between_failures: mean seconds between two failures of the whole training.
    """
    interval = math.sqrt(2 * write * between_failures)
    return interval, write / interval + interval / (2 * between_failures)


def write_speed(size: int = 1 << 28) -> float:
    """Bytes/s of a file that is written and synced."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "checkpoint").open("wb") as file:
        block = np.random.default_rng(0).bytes(1 << 24)
        began = time.perf_counter()
        for _ in range(size // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return size / (time.perf_counter() - began)


def failures(items: float, dim: int, machines: Sequence[int], years: float) -> Rows:
    """Checkpoints of a large catalogue whose tables are partitioned over machines.

    Args:
        items: in the catalogue.
        dim: of the vectors.
        machines: numbers of machines.
        years: mean time between two failures of one machine.
    """
    speed = write_speed()
    size = TABLES * items * (4 * dim + 4)
    rows = [["machines", "GB of tables each", "s to write", "minutes between", "lost, %"]]
    for count in machines:
        write = size / count / speed
        interval, lost = young(write, years * 365.25 * 86_400 / count)
        rows.append([str(count), f"{size / count / 1e9:,.1f}", f"{write:,.0f}",
                     f"{interval / 60:,.0f}", f"{100 * lost:.2f}"])  # fmt: skip
    return rows


def one_machine(gigabytes: Sequence[int]) -> Rows:
    """Items of a whole run in some memories, and its time, by the exponents of two sizes."""
    (n, s, m), (n2, s2, m2) = MEASURED
    growth = math.log(n2 / n)
    time_exponent, memory_exponent = math.log(s2 / s) / growth, math.log(m2 / m) / growth
    rows = [["GB", "million items", "hours", f"time ~ items ** {time_exponent:.2f}",
             f"memory ~ items ** {memory_exponent:.2f}"]]  # fmt: skip
    for size in gigabytes:
        steep = max(memory_exponent, 1.0)  # beyond what was measured, tables alone are linear
        items = n2 * (size * 1000 / m2) ** (1 / steep)
        hours = s2 * (items / n2) ** time_exponent / 3600
        rows.append([str(size), f"{items / 1e6:,.1f}", f"{hours:,.2f}", "", ""])
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--catalog", default="synthetic", help="synthetic, or a metadata file")
    parser.add_argument("--items", type=int, default=20_000, help="of the synthetic catalogue")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--speed", type=float, default=1.8e6, help="items/s that a rank trains")
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--spread", type=float, default=0.1, help="of the time of a batch")
    parser.add_argument("--billions", type=float, default=1.0, help="items of the large catalogue")
    parser.add_argument("--years", type=float, default=1.0, help="between failures of a machine")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        prepared = load(options.catalog, options.items, Path(folder))
    show(f"Rows between two exchanges, and times as fast as one rank, bf16 ({options.speed:,.0f} "
         "items/s)", exchanges(prepared, options.ranks, options.dim, options.speed))  # fmt: skip
    waits = stragglers([*options.ranks, 64], [1, 8, 64], options.spread)
    show("Share of the time that ranks train", waits)
    machines = [16, 64, 256]
    show("Checkpoints", failures(options.billions * 1e9, options.dim, machines, options.years))
    show("One machine", one_machine([8, 24, 64, 256]))


if __name__ == "__main__":
    main()

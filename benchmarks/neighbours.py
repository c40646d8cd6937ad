"""The nearest neighbours of all items by a trained model's score: exactly, and by indexes.

Vectors are the queries and keys of a run of the default model, one epoch. Contenders that take long
search for a sample of the items (--queries, --one-by-one); "s for all" is extrapolated from it.
Indexes search for all items, and their seconds include building.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.child import timed
from benchmarks.harness import Comparison, Contender, Run
from benchmarks.inputs import Inputs
from recsys_lab.compute.threads import num_threads
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.index import SAMPLE, build_index, measured_recall
from recsys_lab.vectors.neighbours import SearchOptions, write_neighbours
from recsys_lab.vectors.search import top_k

Lists = Callable[[np.ndarray], np.ndarray]  # items (n,) to the scores (n, k) of their lists
_SINGLE = 50  # queries one after the other


class Task:
    """Queries and keys of the items that the model can score."""

    def __init__(self, embeddings: str, k: int) -> None:
        began = time.perf_counter()
        self.embeddings = Embeddings.load(embeddings)
        keys, scored = self.embeddings.keys, self.embeddings.scored
        self.load_seconds = time.perf_counter() - began
        rows = np.flatnonzero(scored)
        self.queries, self.keys, self.k = self.embeddings.queries[rows], keys[rows], k

    def sample(self, count: int) -> np.ndarray:
        """Items to search for; all if there are no more."""
        num_items = len(self.keys)
        rng = np.random.default_rng(0)
        return np.sort(rng.choice(num_items, min(count, num_items), replace=False))

    def recall(self, lists: Lists) -> float:
        """Share of the exact lists of a sample."""
        items = self.sample(SAMPLE)
        exact = top_k(self.queries[items], self.keys, self.k, exclude=items)[1]
        return measured_recall(lists(items), exact)


def exact(task: Task) -> Lists:
    """Exact search of this project."""
    return lambda items: top_k(task.queries[items], task.keys, task.k, exclude=items)[1]


def index(task: Task, min_recall: float) -> Lists:
    """The index of this project, its recall measured."""
    everything = np.ones(len(task.keys), np.bool_)
    found = build_index(task.queries, task.keys, everything, task.k, min_recall)
    return lambda items: found.top_k(task.queries[items], task.k, items)[1]


def faiss(task: Task, factory: str, is_reduced: bool = False, **parameters: int) -> Lists:
    """An index of faiss; inner products, or reduced to distances by an added dimension."""
    import faiss

    faiss.omp_set_num_threads(num_threads())
    keys, queries = task.keys, task.queries
    if is_reduced:
        squares = np.square(keys).sum(axis=1, keepdims=True)
        keys = np.hstack([keys, np.sqrt(squares.max() - squares)])
        queries = np.hstack([queries, np.zeros_like(squares)])
    metric = faiss.METRIC_L2 if is_reduced else faiss.METRIC_INNER_PRODUCT
    found = faiss.index_factory(keys.shape[1], factory.format(cells=_cells(task)), metric)
    found.train(keys)
    found.add(keys)
    for name, value in parameters.items():
        faiss.ParameterSpace().set_index_parameter(found, name, value)

    def lists(items: np.ndarray) -> np.ndarray:
        _, rows = found.search(queries[items], task.k + 1)
        return _without_own(task, items, rows)

    return lists


def _cells(task: Task) -> int:
    """As many cells as the index of this project has."""
    return round(3 * len(task.keys) ** 0.5)


def _without_own(task: Task, items: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Scores of lists (n, k + 1), of which the item itself, or the last, is left out."""
    scores = np.empty(rows.shape, np.float32)
    for start in range(0, len(items), 1000):
        part = slice(start, start + 1000)
        products = np.einsum("qe,qke->qk", task.queries[items[part]], task.keys[rows[part]])
        scores[part] = np.where(rows[part] == items[part, None], -np.inf, products)
    return -np.sort(-scores, axis=1)[:, :-1]


SEARCHES: dict[str, Callable[..., Lists]] = {"exact": exact, "index": index, "faiss": faiss}


def measure(embeddings: str, k: int, how: str, queries: int, **options: Any) -> Run:
    """Build if there is something to build, then the lists of a sample."""
    task = Task(embeddings, k)
    items = task.sample(queries)
    made: list[Lists] = []

    def work() -> None:
        made.append(SEARCHES[how](task, **options))
        made[0](items)

    _, measured = timed(work)
    return _row(task, len(items), measured) | {"recall": task.recall(made[0])}


def to_parquet(embeddings: str, k: int, min_recall: float) -> Run:
    """`recsys-lab neighbours`: from the file of vectors to the file of lists."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "neighbours.parquet"

        def work() -> Any:
            found = Embeddings.load(embeddings)
            return write_neighbours(found, out, k, SearchOptions(min_recall=min_recall))

        written, measured = timed(work)
        return {"work": written.num_items, **measured, "all": measured["seconds"]}


def gensim(embeddings: str, k: int, queries: int) -> Run:
    """`most_similar`, one item after the other: by the cosine of the keys, as it has no other."""
    from gensim.models import KeyedVectors

    task = Task(embeddings, k)
    vectors = KeyedVectors(task.keys.shape[1])
    vectors.add_vectors([str(n) for n in range(len(task.keys))], task.keys)
    vectors.fill_norms()
    items = task.sample(queries)
    _, measured = timed(lambda: [vectors.most_similar(str(item), topn=k) for item in items])
    return _row(task, len(items), measured)


def single(embeddings: str, k: int, how: str, **options: Any) -> Run:
    """One query after the other, with everything loaded and built; the median counts."""
    task = Task(embeddings, k)
    lists = SEARCHES[how](task, **options)
    seconds, cpu = [], time.process_time()
    for item in task.sample(_SINGLE):
        began = time.perf_counter()
        lists(np.array([item]))
        seconds.append(time.perf_counter() - began)
    cpu = (time.process_time() - cpu) / len(seconds)
    middle = statistics.median(seconds)
    measured = {"seconds": middle, "cpu_seconds": cpu, "ms": 1000 * middle}
    return {"work": 1, **measured, "load": task.load_seconds}


def _row(task: Task, count: int, measured: dict[str, float]) -> Run:
    """A run's columns."""
    seconds = measured["seconds"] * len(task.keys) / count
    return {"work": count, **measured, "all": seconds, "load": task.load_seconds}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Lengths of the lists and sizes of the samples."""
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--queries", type=int, default=20_000, help="of exact searches")
    parser.add_argument("--one-by-one", type=int, default=200, help="queries of gensim")
    parser.add_argument("--min-recall", type=float, default=0.98, help="of this project's index")


def compare(inputs: Inputs, options: argparse.Namespace) -> list[Comparison]:
    """All lists, then single queries."""
    where: dict[str, Any] = {"embeddings": str(inputs.embeddings), "k": options.k}
    recall, threads, every = {"min_recall": options.min_recall}, options.threads, 10**9
    own = Contender.project
    ivf, hnsw = "IVF{cells},Flat", "HNSW16"
    indexes: dict[str, dict[str, Any]] = {
        "faiss IVF-Flat, inner product": {"factory": ivf, "nprobe": 16},
        "faiss IVF-Flat, reduced to L2": {"factory": ivf, "nprobe": 16, "is_reduced": True},
        "faiss HNSW16, inner product": {"factory": hnsw, "efSearch": 128},
        "faiss HNSW16, reduced to L2": {"factory": hnsw, "efSearch": 128, "is_reduced": True},
    }
    lists = [
        own("recsys_lab, exact", "neighbours.measure", threads, how="exact",
            queries=options.queries, **where),
        own("recsys_lab, index", "neighbours.measure", threads, how="index", queries=every,
            **recall, **where),
        own("recsys_lab neighbours, to Parquet", "neighbours.to_parquet", threads, **recall,
            **where),
        Contender.peer("faiss IndexFlatIP", "neighbours.measure", how="faiss", factory="Flat",
                       queries=options.queries, **where),
        *(Contender.peer(name, "neighbours.measure", how="faiss", queries=every, **settings,
                         **where) for name, settings in indexes.items()),
        Contender.peer("gensim most_similar", "neighbours.gensim", queries=options.one_by_one,
                       **where),
    ]  # fmt: skip
    singles = [
        own("one query, recsys_lab, exact", "neighbours.single", threads, how="exact", **where),
        own("one query, recsys_lab, index", "neighbours.single", threads, how="index", **recall,
            **where),
        Contender.peer("one query, faiss IndexFlatIP", "neighbours.single", how="faiss",
                       factory="Flat", **where),
    ]  # fmt: skip
    columns = {"recall": "recall", "s for all": "all"}
    return [
        Comparison("neighbours", "lists", columns=columns).measure(
            options.choose(lists), options.repeats
        ),
        Comparison(
            "one query", "lists", columns={"ms": "ms", "s to load items and keys": "load"}
        ).measure(options.choose(singles), options.repeats),
    ]

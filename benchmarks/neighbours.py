"""The nearest neighbours of all items by a trained model's score: exactly, and by indexes.

Vectors are the queries and keys of a run of the default model, one epoch. Contenders that take long
search for a sample of the items (--queries, --one-by-one); "s for all" is extrapolated from it.
Indexes search for all items, and their seconds include building. usearch and voyager are in no
extra: `pip install usearch voyager` lets them take part.
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
_BUILT_WIDTH = 60  # of the search while a graph (HNSW) is built
_SINGLE = 50  # queries one after the other


class Task:
    """Queries and keys of the items that the model can score."""

    def __init__(self, embeddings: str, k: int, items: int | None = None) -> None:
        began = time.perf_counter()
        self.embeddings = Embeddings.load(embeddings)
        keys, scored = self.embeddings.keys, self.embeddings.scored
        self.load_seconds = time.perf_counter() - began
        rows = np.flatnonzero(scored)
        if items is not None:
            rows = np.sort(np.random.default_rng(0).permutation(rows)[:items])
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
    if hasattr(found, "hnsw"):
        found.hnsw.efConstruction = _BUILT_WIDTH
    found.train(keys)
    found.add(keys)
    for name, value in parameters.items():
        faiss.ParameterSpace().set_index_parameter(found, name, value)

    def lists(items: np.ndarray) -> np.ndarray:
        _, rows = found.search(queries[items], task.k + 1)
        return _without_own(task, items, rows)

    return lists


def usearch(task: Task, dtype: str, width: int) -> Lists:
    """HNSW of usearch."""
    from usearch.index import Index

    found = Index(
        ndim=task.keys.shape[1],
        metric="ip",
        dtype=dtype,
        connectivity=16,
        expansion_add=_BUILT_WIDTH,
        expansion_search=width,
    )
    found.add(np.arange(len(task.keys)), task.keys, threads=num_threads())

    def lists(items: np.ndarray) -> np.ndarray:
        matches = found.search(task.queries[items], task.k + 1, threads=num_threads())
        return _without_own(task, items, matches.keys.astype(np.int64))

    return lists


def voyager(task: Task, width: int) -> Lists:
    """HNSW of voyager."""
    from voyager import Index, Space

    found = Index(Space.InnerProduct, task.keys.shape[1], M=16, ef_construction=_BUILT_WIDTH)
    found.add_items(task.keys, num_threads=num_threads())

    def lists(items: np.ndarray) -> np.ndarray:
        queries = task.queries[items]
        rows, _ = found.query(queries, task.k + 1, num_threads=num_threads(), query_ef=width)
        return _without_own(task, items, rows.astype(np.int64))

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


SEARCHES: dict[str, Callable[..., Lists]] = {"exact": exact, "index": index, "faiss": faiss,
    "usearch": usearch, "voyager": voyager}  # fmt: skip


def measure(
    embeddings: str, k: int, how: str, queries: int, items: int | None = None, **options: Any
) -> Run:
    """Build if there is something to build, then the lists of a sample."""
    task = Task(embeddings, k, items)
    sample = task.sample(queries)
    made: list[Lists] = []

    def work() -> None:
        made.append(SEARCHES[how](task, **options))
        made[0](sample)

    _, measured = timed(work)
    return _row(task, len(sample), measured) | {"recall": task.recall(made[0])}


def to_parquet(embeddings: str, k: int, min_recall: float) -> Run:
    """`recsys-lab neighbours`: from the file of vectors to the file of lists."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "neighbours.parquet"

        def work() -> Any:
            found = Embeddings.load(embeddings)
            return write_neighbours(found, out, k, SearchOptions(min_recall=min_recall))

        written, measured = timed(work)
        return {"work": written.num_items, **measured, "all": measured["seconds"]}


def gensim(embeddings: str, k: int, queries: int, items: int | None = None) -> Run:
    """`most_similar`, one item after the other: by the cosine of the keys, as it has no other."""
    from gensim.models import KeyedVectors

    task = Task(embeddings, k, items)
    vectors = KeyedVectors(task.keys.shape[1])
    vectors.add_vectors([str(n) for n in range(len(task.keys))], task.keys)
    vectors.fill_norms()
    sample = task.sample(queries)
    _, measured = timed(lambda: [vectors.most_similar(str(item), topn=k) for item in sample])
    return _row(task, len(sample), measured)


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
    parser.add_argument("--items", type=int, help="search among a sample of the items")
    parser.add_argument("--widths", type=int, nargs="+", default=[128], help="searches of HNSW")
    parser.add_argument("--queries", type=int, default=20_000, help="of exact searches")
    parser.add_argument("--one-by-one", type=int, default=200, help="queries of gensim")
    parser.add_argument("--min-recall", type=float, default=0.98, help="of this project's index")


def compare(inputs: Inputs, options: argparse.Namespace) -> list[Comparison]:
    """All lists, then single queries."""
    where: dict[str, Any] = {"embeddings": str(inputs.embeddings), "k": options.k}
    return [
        Comparison("neighbours", "lists", columns={"recall": "recall", "s for all": "all"}).measure(
            options.choose(_of_all_items(options, where)), options.repeats
        ),
        Comparison(
            "one query", "lists", columns={"ms": "ms", "s to load items and keys": "load"}
        ).measure(options.choose(_of_one_item(options, where)), options.repeats),
    ]


def _of_all_items(options: argparse.Namespace, where: dict[str, Any]) -> list[Contender]:
    recall, threads = {"min_recall": options.min_recall}, options.threads
    some = where | {"items": options.items}
    sampled, every = some | {"queries": options.queries}, some | {"queries": 10**9}
    project, peer, one = Contender.project, Contender.peer, "neighbours.measure"
    flat, graph = {"factory": "IVF{cells},Flat", "nprobe": 16}, {"factory": "HNSW16"}
    indexes: dict[str, dict[str, Any]] = {
        "faiss IVF-Flat, inner product": flat,
        "faiss IVF-Flat, reduced to L2": flat | {"is_reduced": True},
    }
    for width in options.widths:
        hnsw = graph | {"efSearch": width}
        indexes[f"faiss HNSW, inner product, {width}"] = hnsw
        indexes[f"faiss HNSW, reduced to L2, {width}"] = hnsw | {"is_reduced": True}
    whole = project(
        "recsys_lab neighbours, to Parquet", "neighbours.to_parquet", threads, **recall, **where
    )
    return [
        project("recsys_lab, exact", one, threads, how="exact", **sampled),
        project("recsys_lab, index", one, threads, how="index", **recall, **every),
        *([whole] if options.items is None else []),
        peer("faiss IndexFlatIP", one, how="faiss", factory="Flat", **sampled),
        *(peer(name, one, how="faiss", **index, **every) for name, index in indexes.items()),
        *(peer(f"usearch {dtype}, {width}", one, how="usearch", dtype=dtype, width=width, **every)
          for dtype in ("f32", "bf16") for width in options.widths),
        *(peer(f"voyager, {width}", one, how="voyager", width=width, **every)
          for width in options.widths),
        peer("gensim most_similar", "neighbours.gensim", queries=options.one_by_one, **some),
    ]  # fmt: skip


def _of_one_item(options: argparse.Namespace, where: dict[str, Any]) -> list[Contender]:
    recall, threads, one = {"min_recall": options.min_recall}, options.threads, "neighbours.single"
    names = ("one query, recsys_lab, exact", "one query, recsys_lab, index")
    flat = {"how": "faiss", "factory": "Flat"}
    return [
        Contender.project(names[0], one, threads, how="exact", **where),
        Contender.project(names[1], one, threads, how="index", **recall, **where),
        Contender.peer("one query, faiss IndexFlatIP", one, **flat, **where),
    ]

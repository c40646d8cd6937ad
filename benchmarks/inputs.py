"""Inputs of the benchmarks, made once in a folder and used by every contender."""

import gzip
import os
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson

import recsys_lab
from recsys_lab.catalog.prepared import PreparedData, prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.data.sequences import stored_walks
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.readers.amazon import AmazonSource
from recsys_lab.readers.synthetic import write_synthetic

SEED, WALKS_PER_ITEM, WALK_LENGTH = 0, 10, 10
MOST_LINES = 300_000  # that readers are compared on
DENSE = 2.2, 350_000  # scale of the lists for about 30 relations a line, and items at most
WEIGHTS = {"bought_together": 1.2, "also_bought": 1.0, "also_viewed": 0.5, "buy_after_viewing": 0.5}
SPLIT = SplitOptions("pairs", 0.1, 0.1, ("uniform", "degree_matched"), 0)


@dataclass(frozen=True)
class Size:
    """How large a synthetic catalogue is."""

    num_items: int
    options: dict[str, Any] = field(default_factory=dict)  # of `write_synthetic`


SIZES = {
    "tiny": Size(400),
    "small": Size(10_000),
    "electronics": Size(420_000, {"list_scale": 0.71}),
    "books": Size(2_000_000, {"list_scale": 1.295}),
}


@dataclass(frozen=True)
class Inputs:
    """The files of one size; each is made when it is first asked for, whole or not at all.

    Attributes:
        size: one of SIZES.
        folder: where they are.
    """

    size: str
    folder: str

    @property
    def arguments(self) -> dict[str, str]:
        """What a contender's process needs to find the inputs."""
        return {"size": self.size, "folder": self.folder}

    @cached_property
    def raw(self) -> Path:
        """Metadata, one JSON object per line, gzip."""
        size = SIZES[self.size]

        def write(path: Path) -> None:
            write_synthetic(str(path), size.num_items, SEED, **size.options)

        return self._made("catalog.json.gz", write)

    @property
    def source(self) -> AmazonSource:
        """How the raw file is read."""
        return AmazonSource(str(self.raw), WEIGHTS, "keep", False, 0, 0.0)

    @cached_property
    def first_lines(self) -> dict[str, Path]:
        """At most MOST_LINES of the raw file, as JSON and as the Python literals of 2014.

        And literals with about 30 relations in a line, as Amazon's files have.
        """

        def write(path: Path) -> None:
            with gzip.open(self.raw) as lines, gzip.open(path, "wb", compresslevel=1) as file:
                for line in islice(lines, MOST_LINES):
                    literal = "literal" in path.name
                    file.write(f"{orjson.loads(line)!r}\n".encode() if literal else line)

        def write_dense(path: Path) -> None:
            scale, most = DENSE
            num_items = min(most, SIZES[self.size].num_items)
            write_synthetic(str(path), num_items, SEED, scale, literals=True)

        names = {"JSON": "first.json.gz", "literals": "first.literal.json.gz"}
        found = {form: self._made(name, write) for form, name in names.items()}
        return found | {"long literals": self._made("dense.literal.json.gz", write_dense)}

    @cached_property
    def prepared(self) -> PreparedData:
        """The catalogue with its split; `prepare` keeps it."""
        return prepare(self.source, SPLIT, Path(self.folder) / "prepared")

    @cached_property
    def graph(self) -> ItemGraph:
        """The training graph."""
        train = self.prepared.split.train
        return ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)

    @cached_property
    def graph_file(self) -> Path:
        """The training graph as PecanPy reads it: .csr.npz with IDs, data, indptr, indices."""

        def write(path: Path) -> None:
            graph = self.graph
            np.savez(
                path,
                IDs=np.arange(len(graph)).astype(str),
                data=graph.weights,
                indptr=graph.indptr.astype(np.uint32),
                indices=graph.indices.astype(np.uint32),
            )

        return self._made("graph.csr.npz", write)

    @cached_property
    def walks(self) -> Path:
        """Walks of one epoch, .npy."""
        path = Path(self.folder) / "walks.npy"
        stored_walks(self.graph, str(path), WALKS_PER_ITEM, WALK_LENGTH, seed=SEED)
        return path

    @cached_property
    def corpus(self) -> Path:
        """The same walks as gensim's `corpus_file`, its fastest form."""

        def write(path: Path) -> None:
            table = np.load(self.walks, mmap_mode="r")
            with path.open("w") as file:
                for low in range(0, len(table), 100_000):
                    rows = table[low : low + 100_000].tolist()
                    file.write("".join(" ".join(map(str, row)) + "\n" for row in rows))

        return self._made("walks.txt", write)

    @cached_property
    def embeddings(self) -> Path:
        """Queries and keys of the default model after one epoch, as `Embeddings` reads them."""

        def write(path: Path) -> None:
            options = ("trainer.max_epochs=1", "trainer.enable_progress_bar=false", f"seed={SEED}")
            experiment = recsys_lab.configure(*options)
            with TemporaryDirectory(dir=self.folder) as run:
                recsys_lab.fit(self.prepared, experiment, run).save_embeddings().rename(path)

        return self._made("embeddings", write)

    def _made(self, name: str, write: Any) -> Path:
        """The file of that name; written beside it and renamed if it is not there."""
        path = Path(self.folder) / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"part{os.getpid()}.{name}")  # endings tell how to write
            write(part)
            part.replace(path)
        return path

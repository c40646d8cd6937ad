"""The runs that a server shows, opened once and loaded when they are first needed."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from recsys_lab.graph.graph import ItemGraph
from recsys_lab.report.names import experiment_labels
from recsys_lab.results.run_folder import read_run
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.store import FOLDER


@dataclass(frozen=True)
class ServedRun:
    """A run with its name on the page.

    Attributes:
        number: place in the command, from 0.
        name: preset or model, with what tells it from the other runs.
        folder: name of its folder; the page shows no other part of the path.
        embeddings: read from the disk by `load`.
        metrics: `metrics.json`, or what the embeddings keep of it.
    """

    number: int
    name: str
    folder: str
    embeddings: Embeddings
    metrics: Mapping[str, Any]
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def vocabulary(self) -> str:
        """Runs with the same value have the same items."""
        return str(self._fact("hash/vocabulary") or self.embeddings.path)

    @property
    def split(self) -> str:
        """Runs with the same value have the same training pairs."""
        return str(self._fact("hash/split") or self.embeddings.path)

    def load(self) -> None:
        """Read everything into memory, once; stderr tells how long it took."""
        with self._lock:
            if "_loaded" in self.__dict__:
                return
            start = time.perf_counter()
            sys.stderr.write(f"loading {self.name}: {len(self.embeddings):,} items\n")
            _ = self.embeddings.scored, self.embeddings.known_pairs
            if self.embeddings.lists is None:
                _ = self.embeddings.screen
            self.__dict__["_loaded"] = True
            sys.stderr.write(f"loaded {self.name} in {time.perf_counter() - start:.1f} s\n")

    @cached_property
    def graph(self) -> ItemGraph:
        """The training pairs with their weights, for baselines."""
        pairs = self.embeddings.pairs
        head, tail, weight = (pairs[x].to_numpy() for x in ("head", "tail", "weight"))
        return ItemGraph.from_pairs(head, tail, weight, len(self.embeddings))

    def row_of(self, item: str) -> int | None:
        """Row of a raw id; None where the catalogue does not hold it."""
        return self.embeddings.ids.index_of(item)

    def _fact(self, name: str) -> Any:
        return self.embeddings.info.get("facts", {}).get(name)


def open_runs(paths: Sequence[Path]) -> list[ServedRun]:
    """Open run folders, or files of vectors, without reading the vectors.

    A damaged one is left out, as stderr tells.

    Raises:
        VectorsError: there is no other.
    """
    found: list[Embeddings] = []
    faults: list[str] = []
    for path in paths:
        try:
            one = Embeddings.load(path)
            len(one)  # reads the items, so that a damaged file is named at once
            found.append(one)
        except VectorsError as error:
            faults.append(str(error))
    if not found:
        raise VectorsError("; ".join(faults))
    for fault in faults:
        sys.stderr.write(f"not shown: {fault}\n")
    runs = [read_run(_owner(e)) for e in found]
    return [
        ServedRun(k, name, run.folder.name, e, run.metrics or e.info.get("metrics", {}))
        for k, (name, run, e) in enumerate(zip(experiment_labels(runs), runs, found, strict=True))
    ]


def _owner(embeddings: Embeddings) -> Path:
    """The folder of the run; for a file from elsewhere its path without the suffix."""
    path = embeddings.path.resolve()
    if not embeddings.info:
        return path.with_suffix("")
    return path.parents[1] if path.parent.name == FOLDER else path.parent

"""Where sequences of items come from: walks drawn as needed, stored walks, or a file."""

import hashlib
import json
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import polars as pl

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.split import Split
from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count, Exponent, NumpyFile, Share, WalkBias, WalkLength
from recsys_lab.data.held_out_cuts import cut_sequences, find_cuts
from recsys_lab.graph.counter import permute_range, stream_key
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.node2vec import estimated_frequencies, node2vec_walks
from recsys_lab.graph.walks import expected_frequencies, num_walks, random_walks, walk_key
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.listed_paths import Paths, as_path
from recsys_lab.readers.sequence_rows import read_sequences
from recsys_lab.results.files import atomic_path, write_text

log = logging.getLogger(__name__)

_PURPOSE = 2


class SequenceSource(Protocol):
    """Sequences by epoch and number; the same arguments always give the same sequences."""

    count: int  # sequences in an epoch
    length: int  # places in a sequence, L
    frequencies: (
        np.ndarray
    )  # (N,) float64, share of each item among all places; expected or counted

    def draw(self, epoch: int, first: int, count: int) -> np.ndarray:
        """Sequences first .. first + count - 1 of an epoch, (count, L) int32, -1 for padding."""
        ...

    def goals(self, epoch: int, first: int, count: int) -> np.ndarray | None:
        """What each of these sequences ends in, (count,) int32, -1 for nothing; None: of no one."""
        ...

    def events(self, epoch: int, first: int, count: int) -> np.ndarray | None:
        """The event at each place, (count, L) int32, -1 for padding; None: places are no events."""
        ...


class Walks:
    """Random walks, fresh in every epoch and never stored; of second order unless p = q = 1.

    A step goes to a neighbour with probability ~ (pair weight) ** weight_exponent.
    """

    @checked
    def __init__(
        self,
        graph: ItemGraph,
        walks_per_item: Count,
        walk_length: WalkLength,
        *,
        seed: int,
        p: WalkBias = 1.0,
        q: WalkBias = 1.0,
        weight_exponent: Exponent = 1.0,
    ) -> None:
        self._again = partial(
            Walks, walks_per_item=walks_per_item, walk_length=walk_length, seed=seed, p=p, q=q,
            weight_exponent=weight_exponent,
        )  # fmt: skip
        graph = graph.raised(weight_exponent)
        self._walk = partial(random_walks if p == q == 1 else partial(node2vec_walks, p=p, q=q),
                             graph, walks_per_item, walk_length, seed=seed)  # fmt: skip
        self.graph = graph
        self.is_first_order = p == q == 1
        self._seed = seed
        self._options = {
            "walks_per_item": walks_per_item, "walk_length": walk_length, "p": p, "q": q
        }  # fmt: skip
        self.length = walk_length
        self.count = num_walks(graph, walks_per_item)
        if p == q == 1:
            self.frequencies = expected_frequencies(graph, walk_length)
        else:
            self.frequencies = estimated_frequencies(graph, walk_length, p=p, q=q, seed=seed)

    def over(self, graph: ItemGraph) -> "Walks":
        """Walks with the same options over another graph."""
        return self._again(graph)

    @property
    def identity(self) -> dict[str, str | int | float]:
        """What decides the walks of an epoch, by name."""
        graph = self.graph
        digest = hashlib.sha256()
        for array in (graph.indptr, graph.indices, graph.weights):
            digest.update(np.ascontiguousarray(array).data)
        return {"training graph": digest.hexdigest()[:16], **self._options}

    def key(self, epoch: int) -> int:
        """The key of an epoch's walks of first order."""
        return int(walk_key(self._seed, epoch))

    def draw(self, epoch: int, first: int, count: int) -> np.ndarray:
        """See `SequenceSource`."""
        return self._walk(epoch=epoch, first=first, count=count)

    def goals(self, epoch: int, first: int, count: int) -> None:
        """Walks end in nothing."""

    def events(self, epoch: int, first: int, count: int) -> None:
        """Their places are no events."""


class StoredSequences:
    """Sequences of an array (S, L), in a new order in every epoch.

    Each may have a goal (S,), and each place an event (S, L).
    """

    def __init__(
        self,
        sequences: np.ndarray,
        num_items: int,
        *,
        seed: int,
        goals: np.ndarray | None = None,
        events: np.ndarray | None = None,
    ) -> None:
        if sequences.ndim != 2 or not np.issubdtype(sequences.dtype, np.integer):
            raise ValueError(
                "sequences must be a table of integers (S, L), got "
                f"{sequences.dtype} with {sequences.ndim} dimensions"
            )
        if sequences.size == 0 or sequences.max() < 0:
            raise ValueError("there are no sequences")
        if sequences.min() < -1 or sequences.max() >= num_items:
            raise ValueError(
                f"sequences hold item ids from {sequences.min()} to {sequences.max()}; the "
                f"catalogue has 0 .. {num_items - 1}, and -1 is padding"
            )
        self._sequences = sequences
        self._goals = goals
        self._events = events
        self._seed = seed
        self.count, self.length = sequences.shape
        counts = np.zeros(num_items)
        for low in range(0, self.count, 1 << 20):  # a memory map is read in pieces
            block = sequences[low : low + (1 << 20)]
            counts += np.bincount(block[block >= 0], minlength=num_items)
        self.frequencies = counts / counts.sum()

    def draw(self, epoch: int, first: int, count: int) -> np.ndarray:
        """See `SequenceSource`."""
        return np.asarray(self._sequences[self._rows(epoch, first, count)], np.int32)

    def goals(self, epoch: int, first: int, count: int) -> np.ndarray | None:
        """See `SequenceSource`."""
        return None if self._goals is None else self._goals[self._rows(epoch, first, count)]

    def events(self, epoch: int, first: int, count: int) -> np.ndarray | None:
        """See `SequenceSource`."""
        return None if self._events is None else self._events[self._rows(epoch, first, count)]

    def _rows(self, epoch: int, first: int, count: int) -> np.ndarray:
        key = stream_key(self._seed, epoch, _PURPOSE)
        return permute_range(first, min(first + count, self.count), self.count, key)


@checked
def stored_walks(
    graph: ItemGraph,
    path: NumpyFile,
    walks_per_item: Count,
    walk_length: WalkLength,
    *,
    seed: int,
    p: WalkBias = 1.0,
    q: WalkBias = 1.0,
    weight_exponent: Exponent = 1.0,
) -> StoredSequences:
    """The walks of one epoch, kept in a file and used in every epoch; arguments as of `Walks`.

    The file `path` ends in .npy and is written if it does not exist; what the walks belong to is
    beside it, in `<path>.json`. Walks of another graph or of other options are refused: they would
    carry held-out pairs into training.

    Raises:
        ValueError: the file holds something else, or walks that belong to something else.
    """
    file = Path(path)
    walks = Walks(
        graph, walks_per_item, walk_length, seed=seed, p=p, q=q, weight_exponent=weight_exponent
    )
    label = _label_of(file)
    if file.exists():
        check_stored_walks(path, walks.identity)
    else:
        try:
            write_text(label, json.dumps(walks.identity, indent=2))
            with atomic_path(file) as part, part.open("wb") as out:
                np.save(out, walks.draw(0, 0, walks.count), allow_pickle=False)
        except OSError as error:
            raise ValueError(f"path: {error}") from error
        log.info("%d walks written to %s", walks.count, path)
    return StoredSequences(_load_array(file), len(graph), seed=seed)


def check_stored_walks(path: str, wanted: Mapping[str, str | int | float]) -> None:
    """Refuse a file of walks that belong to something else; no file is none.

    Args:
        path: the file.
        wanted: what decides the walks, by name; all of it or a part.

    Raises:
        ValueError: naming what differs.
    """
    if not Path(path).exists():
        return
    label = _label_of(Path(path))
    try:
        stored = json.loads(label.read_text()) if label.exists() else {}
    except ValueError as error:
        raise ValueError(f"path: {label} is damaged ({error}): delete {path}") from error
    for name, current in wanted.items():
        if stored.get(name) != current:
            raise ValueError(
                f"the walks in {path} have {name}={stored.get(name)}, this run has {current}: "
                f"name another file with path=, or delete {path}"
            )


def _label_of(file: Path) -> Path:
    """Where it stands what the walks of a file belong to."""
    return file.with_name(f"{file.name}.json")


@checked
def sequence_file(
    catalog: ItemCatalog,
    split: Split,
    path: Paths,
    max_length: WalkLength,
    *,
    window: Count,
    subsample_threshold: Share,
    held_out: Literal["cut", "keep"],
    seed: int,
) -> StoredSequences:
    """Ready-made sequences, such as sessions, cut into rows of at most `max_length` places.

    Args:
        catalog: gives raw ids their item ids.
        split: its held-out pairs are kept out of training.
        path: a .npy table (S, L) of item ids with -1 as padding; or sequences of raw ids, in the
            forms of `readers.sequence_rows`, in a file or several. Raw ids that the
            catalogue does not know are left out and counted.
        max_length: longest row.
        window: distance up to which training sees two places together.
        subsample_threshold: of the data module; above 0, places that are left out bring others
            together, so that a whole row counts as one window.
        held_out: "cut" cuts sequences between the two items of a validation or test pair, where
            they stand within the window; "keep" trains on such pairs, with a warning, so that the
            results say nothing about new pairs.
        seed: of the order of the rows in each epoch.

    Raises:
        ValueError: the file cannot be read or holds no sequence of two known items.
    """
    path = as_path(path)
    file = Path(path)
    if file.suffix == ".npy":
        table = _cut(_load_array(file), max_length)
    else:
        table = _read_rows(path, catalog, max_length)
    StoredSequences(table, len(catalog), seed=seed)  # checks the table
    reach = window if subsample_threshold == 0 else max_length
    table = _without_held_out(table, split, reach, held_out, path)
    return StoredSequences(table, len(catalog), seed=seed)


def _without_held_out(
    table: np.ndarray, split: Split, reach: int, held_out: str, path: str
) -> np.ndarray:
    if not isinstance(split, Split):
        raise ValueError(
            "sequences of a file go with split=pairs or split=items; the events of a log split by "
            "events are trained on with data/source=events"
        )
    keys = np.sort(np.concatenate([part.pairs.keys for part in (split.val, split.test)]))
    begins, met = find_cuts(table, keys, split.num_items, reach)
    if not met:
        return table
    if held_out == "keep":
        log.warning(
            "%s: %s times two items of a validation or test pair stand within %d places, and are "
            "trained on (held_out=keep): the results say nothing about new pairs",
            path, f"{met:,}", reach,
        )  # fmt: skip
        return table
    log.info(
        "%s: %s times two items of a validation or test pair stand within %d places; sequences are "
        "cut there, at %s places",
        path, f"{met:,}", reach, f"{int(begins.sum()):,}",
    )  # fmt: skip
    return cut_sequences(table, begins)


def _read_rows(path: str, catalog: ItemCatalog, max_length: int) -> np.ndarray:
    """Sequences of raw ids as rows (S, L) of item ids, int32, -1 for padding."""
    try:
        found = read_sequences(path)
    except CatalogError as error:
        raise ValueError(f"path: {error}") from error
    log.info("%s: %s", path, found.said)
    for warning in found.warnings:
        log.warning("%s: %s", path, warning)
    table = pl.DataFrame({"line": found.sequence, "item": found.items})
    known = catalog.raw_ids.to_frame().with_row_index("id")
    joined = table.join(known, on="item", how="left", maintain_order="left")
    unknown = joined["id"].null_count()
    if unknown:
        log.warning("%s: %d of %d places name an item outside the catalogue, left out",
                    path, unknown, joined.height)  # fmt: skip
    joined = joined.drop_nulls("id").with_columns(place=pl.int_range(pl.len()).over("line"))
    joined = joined.with_columns(row=pl.struct("line", pl.col("place") // max_length).rank("dense"))
    rows, items = joined["row"].to_numpy().astype(np.int64) - 1, joined["id"].to_numpy()
    if len(rows) == 0 or np.bincount(rows).max() < 2:
        raise ValueError(
            f"path: {path} has no sequence of two known items ({found.said}; the catalogue has ids "
            f"such as {catalog.raw_ids[0]!r})"
        )
    out = np.full((rows.max() + 1, max_length), -1, np.int32)
    out[rows, joined["place"].to_numpy() % max_length] = items
    return out


def _cut(table: np.ndarray, max_length: int) -> np.ndarray:
    """A table (S, L) with its rows cut into pieces of at most `max_length` places."""
    if table.ndim != 2 or table.shape[1] <= max_length:
        return table
    missing = -table.shape[1] % max_length
    pieces = np.pad(table, ((0, 0), (0, missing)), constant_values=-1).reshape(-1, max_length)
    return pieces[(pieces >= 0).any(axis=1)]


def _load_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"path: {path} is not a readable .npy table ({error})") from error

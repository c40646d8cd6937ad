"""The graph of a run with the items and users that came later."""

import numpy as np
import polars as pl

from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.interaction_pairs import interaction_pairs
from recsys_lab.catalog.nodes import USER, Nodes
from recsys_lab.catalog.pairs import build_pairs
from recsys_lab.catalog.split import Split
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.vectors.adding_users import LaterUsers
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.new_items import NewItems

Ends = tuple[np.ndarray, np.ndarray, np.ndarray]  # heads, tails and weights of pairs


class LaterGraph:
    """The V nodes of a run, behind them the items that came later, then new users.

    Args:
        embeddings: of the run, or those that were added to.
        new: items.
        later: users of a later log; None without one.
        split: of the run.
        nodes: of the run.

    Attributes:
        user_group: the users that are nodes of the run and have events in its graph; None without.
        users: (n,) the place of each user of the later log among new users; -1 for known ones.
        new_items: where the new items stand among the nodes that came later.
        new_users: where the new users do.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        new: NewItems,
        later: LaterUsers | None,
        split: Split | EventSplit,
        nodes: Nodes,
    ) -> None:
        self._embeddings, self._new, self._later = embeddings, new, later
        self._split, self._nodes = split, nodes
        has_users = nodes.graph != "items" and later is not None
        found = [group for group in nodes.with_events if group.name == USER]
        self.user_group = found[0] if found and has_users else None
        num_items = len(embeddings) + len(new.items) - nodes.num_items
        self.new_items = slice(num_items - len(new.items), num_items)
        self._user_ids, self.users = self._number_users(num_items)
        num_users = int((self.users >= 0).sum())
        self.new_users = slice(num_items, num_items + num_users)
        self._num_nodes = len(nodes) + num_items + num_users

    def build(self) -> ItemGraph:
        """All pairs of the run's graph, and those of the nodes that came later."""
        parts: list[Ends] = []
        if self._nodes.graph != "interactions":
            parts += self._of_items()
        if self._nodes.graph != "items" and isinstance(self._split, EventSplit):
            parts += self._of_users(self._split)
        heads, tails, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
        return ItemGraph.from_pairs(heads, tails, weights, self._num_nodes)

    def _number_users(self, num_items: int) -> tuple[np.ndarray, np.ndarray]:
        """Node of each user of the later log, and its place among new ones, or -1."""
        if self.user_group is None or self._later is None:
            none = np.empty(0, np.int64)
            return none, none
        known = pl.DataFrame({"user": self.user_group.names}).with_row_index("row")
        wanted = pl.DataFrame({"user": self._later.ids})
        found = wanted.join(known, on="user", how="left", maintain_order="left")["row"]
        is_new = found.is_null().to_numpy()
        places = np.where(is_new, np.cumsum(is_new) - 1, -1)
        rows = found.cast(pl.Int64).fill_null(0).to_numpy()
        first = len(self._nodes) + num_items
        return np.where(is_new, first + places, self.user_group.first + rows), places

    def _of_items(self) -> list[Ends]:
        """Pairs of items."""
        known, pairs = self._embeddings.pairs, self._new.pairs
        columns = [known[name].to_numpy() for name in ("head", "tail", "weight")]
        both = (columns, (pairs.heads, pairs.tails, pairs.weights))
        return [(self._nodes_of(a), self._nodes_of(b), weights) for a, b, weights in both]

    def _of_users(self, split: EventSplit) -> list[Ends]:
        """Training events of the run, and later events of which an end came later."""
        found = []
        for group in self._nodes.with_events:
            pairs = interaction_pairs(split, group, len(self._nodes))
            found.append((pairs.heads, pairs.tails, pairs.weights))
        if self.user_group is not None and self._later is not None:
            items = self._nodes_of(self._later.items)
            users = self._user_ids[self._later.owners]
            is_later = np.maximum(items, users) >= len(self._nodes)
            ends = items[is_later].astype(np.int32), users[is_later].astype(np.int32)
            pairs = build_pairs(*ends, self._later.weights[is_later], self._num_nodes)
            found.append((pairs.heads, pairs.tails, pairs.weights))
        return found

    def _nodes_of(self, rows: np.ndarray) -> np.ndarray:
        """Nodes of rows of items: those that came later stand behind all nodes of the run."""
        num_items = self._nodes.num_items
        return np.where(rows < num_items, rows, len(self._nodes) + rows - num_items)

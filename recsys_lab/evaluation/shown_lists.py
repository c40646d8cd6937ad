"""The lists that queries are shown: how much of the catalogue they have, and how novel it is."""

from collections.abc import Sequence
from threading import Lock

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.sorted_rows import find_in_row
from recsys_lab.evaluation.list_metrics import Row


class ShownLists:
    """Counts how often each item stands in the first k places, for each k.

    Equal scores stand in the order of the items; items without a score are not shown.

    Args:
        item_counts: (N,) number of training queries that have an item.
        ks: lengths of the lists.
    """

    def __init__(self, item_counts: np.ndarray, ks: Sequence[int]) -> None:
        self.num_items = len(item_counts)
        self.ks = tuple(ks)
        self.shown = np.zeros((len(self.ks), self.num_items), np.int64)
        total = max(float(item_counts.sum()), 1.0)
        # (N,) bits; an item without training queries counts as if it had one
        self._information = -np.log2(np.maximum(item_counts, 1) / total)
        self._lock = Lock()

    def add(
        self,
        rows: np.ndarray,
        queries: np.ndarray,
        bounds: np.ndarray,
        target: np.ndarray,
        indptr: np.ndarray,
        indices: np.ndarray,
    ) -> None:
        """Count the lists of queries (q,) whose scores are rows (q, N); threads may call it."""
        top = np.full((len(rows), min(max(self.ks, default=0), self.num_items)), -1, np.int32)
        top_rows(rows, queries, bounds, target, indptr, indices, top)
        with self._lock:
            for place, k in enumerate(self.ks):
                items = top[:, :k].ravel()
                self.shown[place] += np.bincount(items[items >= 0], minlength=self.num_items)

    def metrics(self, ks: Sequence[int]) -> Row:
        """`catalog_coverage@k/all` and `novelty@k/all`.

        The first is the share of all items that are in some list. The second is the mean
        self-information of the items shown, in bits, each time they are; an item's probability is
        its share of the training events (distinct by query). None where nothing was shown.
        """
        row: Row = {}
        for k in ks:
            shown = self.shown[self.ks.index(k)]
            places = int(shown.sum())
            row[f"catalog_coverage@{k}/all"] = float((shown > 0).mean()) if places else None
            information = float(shown @ self._information)
            row[f"novelty@{k}/all"] = information / places if places else None
        return row


@jit()
def top_rows(rows, queries, bounds, target, indptr, indices, top):  # type: ignore[no-untyped-def]
    """Write the best candidates of each row into top (q, k), best first; -1 where there are fewer.

    Candidates have a score, and are not known to the query but for its targets
    target[bounds[u]:bounds[u + 1]], which ascend.
    """
    most = top.shape[1]
    for u in range(len(rows)):
        row, best, size = rows[u], top[u], 0
        if most == 0:
            continue
        for item in range(len(row)):
            score = row[item]
            if np.isnan(score) or (size == most and score <= row[best[size - 1]]):
                continue
            is_known = find_in_row(indptr, indices, queries[u], item) >= 0
            if is_known and find_in_row(bounds, target, u, item) < 0:
                continue
            place = size if size < most else most - 1
            while place > 0 and row[best[place - 1]] < score:
                best[place] = best[place - 1]
                place -= 1
            best[place] = item
            size = min(size + 1, most)

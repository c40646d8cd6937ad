"""Pairs that come once each in an epoch, in an order that is new in every epoch."""

import numpy as np
import torch

from recsys_lab.data.batch import PairBatch
from recsys_lab.data.batch_module import BatchDataModule
from recsys_lab.graph.counter import permute_range, stream_key

_NEGATIVES, _ORDER, _TURN = 4, 5, 6  # purposes of streams


class PairEpochs(BatchDataModule):
    """Pairs of an array, once each in an epoch, in a new order in every epoch.

    Args:
        seed: seed of the order and of the negatives.
        centers: (P,) of each pair.
        contexts: (P,) likewise.
        weights: (P,) float32.
        counts: (V,) how often each node stands in a pair.
        batch_size: pairs in a batch.
        num_negatives: negatives drawn for each pair.
        num_workers: threads that draw ahead.
    """

    def __init__(
        self,
        seed: int,
        centers: np.ndarray,
        contexts: np.ndarray,
        weights: np.ndarray,
        counts: np.ndarray,
        *,
        batch_size: int,
        num_negatives: int,
        num_workers: int,
    ) -> None:
        super().__init__()
        self._seed = seed
        self._ends = np.stack([centers, contexts], axis=1).astype(np.int64)
        self._weights = weights
        self._num_negatives = num_negatives
        self._batch_size = batch_size
        self.frequencies = counts / counts.sum()
        self.num_batches = -(-len(weights) // batch_size)
        self.num_workers = num_workers

    def draw(self, epoch: int, number: int) -> PairBatch:
        """Batch `number` of an epoch."""
        order_key = stream_key(self._seed, epoch, _ORDER)
        last = min((number + 1) * self._batch_size, len(self._ends))
        rows = permute_range(number * self._batch_size, last, len(self._ends), order_key)
        turned = self._turned(rows, epoch, number)
        contexts = self._ends[rows, 1 - turned]
        key = stream_key(self._seed, epoch, number, _NEGATIVES)
        return PairBatch(
            torch.from_numpy(self._ends[rows, turned]),
            torch.from_numpy(contexts),
            torch.from_numpy(self._negatives(contexts, key)),
            torch.from_numpy(self._weights[rows]),
            num_trained=len(rows),
            low_rank=self._low_rank(rows, epoch, number),
        )

    def _turned(self, rows: np.ndarray, epoch: int, number: int) -> np.ndarray:
        """(B,) 1 where the second end of a pair is the center, else 0."""
        return np.zeros(len(rows), np.int64)

    def _negatives(self, contexts: np.ndarray, key: np.uint64) -> np.ndarray:
        """Negatives (B, K) of pairs with these contexts (B,)."""
        raise NotImplementedError

    def _low_rank(self, rows: np.ndarray, epoch: int, number: int) -> torch.Tensor | None:
        """See `PairBatch.low_rank`; `rows` (B,) are places of the pairs."""
        return None


def turned_at_random(seed: int, epoch: int, number: int, count: int) -> np.ndarray:
    """(count,) of 0 and 1, which end of a pair is the center, for a batch of an epoch."""
    return np.random.default_rng([seed, epoch, number, _TURN]).integers(0, 2, count)


def pair_weights(weights: np.ndarray, *, use_weights: bool) -> np.ndarray:
    """Weights (P,) over their mean, float32; ones if they are not used."""
    return weights / weights.mean() if use_weights else np.ones_like(weights)

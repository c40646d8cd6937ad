"""gensim's word2vec as a net, on the walks, split and curve of the other models."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from recsys_lab.data.batch import Batch, PairBatch
from recsys_lab.models.blocks import pairs_or_windows
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.scoring import Score
from recsys_lab.models.skipgram import SkipGram

_CUMULATIVE_END = 2**31 - 1  # of gensim's table of negatives


def batch_sequences(batch: Batch) -> list[list[int]]:
    """The sequences that a batch comes from; a pair is a sequence of two."""
    batch = pairs_or_windows(batch)
    if isinstance(batch, PairBatch):
        return torch.stack([batch.centers, batch.contexts], dim=1).tolist()
    if batch.chosen is not None:
        raise ValueError(
            "gensim draws windows and negatives of its own, without goal_kinds, market and "
            "num_rejected: leave these out, or use model=skipgram"
        )
    rows = batch.items.flatten(0, 1)
    return [row[:end] for row, end in zip(rows.tolist(), (rows >= 0).sum(1).tolist(), strict=True)]


def expected_targets(sequences: list[list[int]], window: int, *, shrink: bool, sg: bool) -> float:
    """Number of predictions that gensim makes on sequences, in expectation.

    A center and each of its contexts for skip-gram, a center for CBOW.
    """
    lengths = np.bincount([len(sequence) for sequence in sequences])
    if not sg:
        return float((lengths[2:] * np.arange(2, len(lengths))).sum())
    distances = np.arange(1, window + 1)
    inside = (window + 1 - distances) / window if shrink else np.ones(window)
    places = np.clip(np.arange(len(lengths))[:, None] - distances, 0, None)  # (longest, window)
    return float(2 * (lengths * (places @ inside)).sum())


class GensimWord2Vec(SkipGram):
    """word2vec trained by gensim, in tables that are this net's parameters.

    gensim is given the batches one by one, with the learning rate of the schedule as its constant
    alpha; it draws its own windows and negatives, from the frequencies of the data. Subsampling is
    the data module's. With one worker a run is reproducible, and goes on after a resume as if it
    had not stopped.

    Args:
        num_items: N.
        embedding_dim: D.
        settings: gensim's `sg` (1 for skip-gram, 0 for CBOW, its default), `window`,
            `shrink_windows`, `negative` and `workers`.
        negative_exponent: negatives follow frequency ** exponent.
        score: see `SkipGram`.
        popularity: see `SkipGram`.
    """

    steps: Tensor

    def __init__(
        self,
        num_items: int,
        embedding_dim: int,
        settings: Mapping[str, int],
        negative_exponent: float,
        score: Score,
        popularity: Tensor,
    ) -> None:
        centers = IdEncoder(num_items, embedding_dim)
        contexts = IdEncoder(num_items, embedding_dim, init_scale=0.0)
        super().__init__(centers, contexts, score, popularity)
        self._tables = centers.table, contexts.table
        self._exponent = negative_exponent
        self._settings = {**settings, "vector_size": embedding_dim}
        self._seed = torch.initial_seed() % 2**32
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))  # of gensim's generator

    def begin(self, frequencies: np.ndarray) -> None:
        """Make gensim's model around the tables of this net; see `SelfUpdatingNet`."""
        from gensim.models import Word2Vec  # an import of seconds

        model = Word2Vec(**self._settings, sample=0, min_count=1, sorted_vocab=0, compute_loss=True)
        model.build_vocab_from_freq(dict.fromkeys(range(len(frequencies)), 1))  # item id = place
        chance = np.zeros(len(frequencies))
        chance[frequencies > 0] = frequencies[frequencies > 0] ** self._exponent
        ends = np.cumsum(chance) / chance.sum()
        model.cum_table = np.round(ends * _CUMULATIVE_END).astype(np.uint32)
        centers, contexts = self._tables
        model.wv.vectors = centers.detach().numpy()  # shared memory
        model.syn1neg = contexts.detach().numpy()
        self._model = model

    def update(self, batch: Batch, rate: float) -> tuple[Tensor, Tensor]:
        """One pass of gensim over the sequences of a batch."""
        sequences = batch_sequences(batch)
        model = self._model
        model.random = np.random.RandomState([self._seed, int(self.steps)])
        self.steps += 1
        model.train(
            sequences,
            total_examples=len(sequences),
            epochs=1,
            start_alpha=rate,
            end_alpha=rate,
            compute_loss=True,
        )
        targets = expected_targets(
            sequences,
            self._settings["window"],
            shrink=bool(self._settings["shrink_windows"]),
            sg=bool(self._settings["sg"]),
        )
        return torch.tensor(float(model.get_latest_training_loss())), torch.tensor(targets)

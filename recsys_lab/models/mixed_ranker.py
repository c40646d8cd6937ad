"""The parts of a mixture, as a net without parameters: its weights come from validation pairs."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recsys_lab.data.batch import Batch
from recsys_lab.models.scoring import ScoreVectors

NO_VECTORS = (
    "a mixture has scores of pairs and no vectors: name the run of one of its parts, or take its "
    "scorer"
)


class MixedRanker(nn.Module):
    """Scores of runs and of baselines, mixed; the run fits the weights and scores (`mix_parts`).

    Args:
        runs: folders of runs, or folders of these.
        baselines: names of the test's baselines.
        list_length: similar items of each item that the run keeps.
    """

    def __init__(self, runs: Sequence[str], baselines: Sequence[str], list_length: int) -> None:
        super().__init__()
        self.runs, self.baselines, self.list_length = tuple(runs), tuple(baselines), list_length

    def score_vectors(self, items: Tensor | None = None) -> ScoreVectors:
        """There are none.

        Raises:
            TypeError: always.
        """
        raise TypeError(NO_VECTORS)

    def can_score(self, seen: Tensor) -> Tensor:
        """Mask (N,) of the items that some part may score: all."""
        return torch.ones_like(seen, dtype=torch.bool)

    def probability(self, scores: Tensor) -> Tensor:
        """Scores (n,) brought into [0, 1] by the logistic function."""
        return torch.sigmoid(scores)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """There is none.

        Raises:
            TypeError: always.
        """
        raise TypeError("a mixture is fitted on validation pairs: model=mixture has no loss")

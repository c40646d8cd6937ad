"""The rank of a target among the items that were shown, by similarity to each click before it.

Grbovic and Cheng, "Real-time Personalization using Embeddings for Search Ranking at Airbnb" (KDD
2018), section 4.4: a search shows candidates, one of which is booked; each of the last 17 clicks
ranks them by its similarity to them. A good embedding ranks the booked one high early.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from recsys_lab.evaluation.history_scorers import HistoryScorer, SameForAll
from recsys_lab.evaluation.pooled_scorer import pooled_scorer
from recsys_lab.evaluation.scorers import Scorer, VectorScorer

MOST_CLICKS = 17
NAME = "click_rank"


@dataclass(frozen=True)
class Clicks:
    """Clicks before targets, each with the candidates that it ranks.

    Attributes:
        target_number: (C,) which target a click came before, ascending.
        place: (C,) 1 is the latest click before the target.
        item: (C,) what was clicked.
        target: (C,) the item of the target.
        offsets: (C + 1,) the other candidates of click c are candidates[offsets[c]:offsets[c + 1]].
        candidates: (S,) items.
        num_items: N.
    """

    target_number: np.ndarray
    place: np.ndarray
    item: np.ndarray
    target: np.ndarray
    offsets: np.ndarray
    candidates: np.ndarray
    num_items: int

    def __len__(self) -> int:
        return len(self.item)

    @cached_property
    def weights(self) -> sparse.csr_matrix:
        """(C, N) CSR, each click as a history of its own."""
        ones, ends = np.ones(len(self), np.float32), np.arange(len(self) + 1)
        return sparse.csr_matrix((ones, self.item, ends), (len(self), self.num_items))

    @property
    def chance(self) -> np.ndarray:
        """(C,) the expected rank in a random order."""
        return 1 + np.diff(self.offsets) / 2

    def ranks(self, scorer: Scorer) -> np.ndarray:
        """(C,) rank of the target, 1 is best, by a scorer whose queries are the clicks.

        Of equal scores half count as better; a candidate without a score comes last.
        """
        counts = np.diff(self.offsets)
        click = np.repeat(np.arange(len(self)), counts)
        others, own = (
            np.nan_to_num(scorer.score_pairs(*pairs), nan=-np.inf)
            for pairs in ((click, self.candidates), (np.arange(len(self)), self.target))
        )
        above = (others > own[click]) + 0.5 * (others == own[click])
        return 1 + np.bincount(click, above, minlength=len(self))


def clicks_before(
    history: tuple[np.ndarray, np.ndarray],
    shown: tuple[np.ndarray, np.ndarray],
    targets: np.ndarray,
    seen: np.ndarray,
) -> Clicks:
    """The latest clicks before targets (T,), on distinct items other than the target.

    A click on the target itself says nothing of an embedding, and a click that is repeated nothing
    more. Items that are not in training are left out everywhere, and so is a target that was shown
    alone.

    Args:
        history: offsets (T + 1,) and items of what came before each target, the latest last.
        shown: offsets (T + 1,) and items that were shown with each target.
        targets: (T,) items.
        seen: (N,) bool, the items in training.
    """
    click_of, clicked = _rows(*history)
    clicked_at = np.arange(len(clicked))
    counts = seen[clicked] & (clicked != targets[click_of])
    click_of, clicked, clicked_at = (x[counts] for x in (click_of, clicked, clicked_at))
    latest = np.lexsort((-clicked_at, clicked, click_of))
    latest = latest[_begins(click_of[latest], clicked[latest])]
    latest = latest[np.lexsort((-clicked_at[latest], click_of[latest]))]
    click_of, clicked = click_of[latest], clicked[latest]

    shown_to, candidate = _rows(*shown)
    counts = seen[candidate] & (candidate != targets[shown_to])
    keys = np.unique(shown_to[counts].astype(np.int64) * len(seen) + candidate[counts])
    shown_to, candidate = keys // len(seen), keys % len(seen)
    bounds = np.searchsorted(shown_to, np.arange(len(targets) + 1))

    place = 1 + np.arange(len(click_of)) - np.searchsorted(click_of, click_of)
    sizes = np.diff(bounds)[click_of]
    kept = seen[targets[click_of]] & (sizes > 0) & (place <= MOST_CLICKS)
    click_of, clicked, place, sizes = (x[kept] for x in (click_of, clicked, place, sizes))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    every = np.arange(offsets[-1]) + np.repeat(bounds[click_of] - offsets[:-1], sizes)
    return Clicks(
        click_of, place, clicked, targets[click_of], offsets, candidate[every], len(seen)
    )  # fmt: skip


def asked_by(scorer: Scorer, clicks: Clicks) -> Scorer | None:
    """The scorer with the clicks as its queries; None where that is not possible."""
    if isinstance(scorer, VectorScorer):
        return pooled_scorer(scorer, clicks.weights)
    if isinstance(scorer, HistoryScorer):
        return HistoryScorer(clicks.weights, scorer.similarity)
    return scorer if isinstance(scorer, SameForAll) else None


def click_metrics(name: str, ranks: np.ndarray, clicks: Clicks) -> dict[str, float]:
    """Mean rank over all clicks, and by the place of the click: `<name>/click_rank/<place>`."""
    found = {f"{name}/{NAME}/all": float(ranks.mean())}
    for place in np.unique(clicks.place).tolist():
        found[f"{name}/{NAME}/{place}"] = float(ranks[clicks.place == place].mean())
    return found


def click_interval(
    name: str, ranks: np.ndarray, clicks: Clicks, replicates: int, seed: int
) -> dict[str, float]:
    """95 % interval of the mean rank, by a bootstrap over the targets: `interval/<name>/...`."""
    _, number = np.unique(clicks.target_number, return_inverse=True)
    sums, counts = np.bincount(number, ranks), np.bincount(number)
    rng = np.random.default_rng([seed, 17])
    weights = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), replicates)
    low, high = np.quantile((weights @ sums) / (weights @ counts), [0.025, 0.975])
    prefix = f"interval/{name}/{NAME}/all"
    return {f"{prefix}/low": float(low), f"{prefix}/high": float(high)}


def _rows(offsets: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), items


def _begins(*columns: np.ndarray) -> np.ndarray:
    """Mask of the rows that differ from the row before."""
    differs = [np.diff(column, prepend=-1) != 0 for column in columns]
    return np.logical_or.reduce(differs)

"""Vectors of new items beside those of a run: from side information and from pairs."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recsys_lab.vectors.encode import encode_items
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.folding import Objective, Passes
from recsys_lab.vectors.item_folding import Ends, Fixed, ItemFolding, Progress, learns_biases
from recsys_lab.vectors.new_items import NewItems
from recsys_lab.vectors.score_form import ScoreTables

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings

PAIRS, SIDE_INFORMATION, NOTHING = "pairs", "side information", "nothing"  # a vector is made from


class AddedItems(NamedTuple):
    """New items n with their vectors.

    Attributes:
        tables: vectors and biases; without meaning where an item has none.
        source: (n,) what each vector is made from: PAIRS, SIDE_INFORMATION or NOTHING.
        num_pairs: (n,) pairs of each item.
        weights: (n, 1 + F) of center and context vectors (`store.SideInfo`); None without side
            information.
    """

    tables: ScoreTables
    source: np.ndarray
    num_pairs: np.ndarray
    weights: tuple[np.ndarray, np.ndarray] | None


def add_items(
    embeddings: "Embeddings",
    new: NewItems,
    objective: Objective | None = None,
    passes: Passes | None = None,
    progress: Progress = lambda done, total: None,
    fixed: Fixed | None = None,
) -> AddedItems:
    """Vectors of new items from side information and, where they have pairs, by folding in.

    Folding in begins at the vector from side information, or at zero. The first half of the passes
    takes the pairs whose other end is an item of the run. The second half also takes those among
    new items, with the vectors that these have by then. The rows of the run stay as they are. An
    item is left without a vector if it has neither a known value nor such a pair.

    Args:
        embeddings: of the run.
        new: the items, with pairs whose other end is fixed or new.
        objective: the loss; by default that of the default configuration.
        passes: how it is minimised.
        progress: called with the steps done, and all steps.
        fixed: what the items are fitted to; None: the items of the run.
    """
    if embeddings.info.get("directed"):
        raise VectorsError(
            "items cannot be added to a model of histories, whose scores have a direction: train "
            "again with their events"
        )
    objective, passes = objective or Objective(), passes or Passes()
    prior, has_vector, weights = _prior(embeddings, new)
    fixed = fixed or items_of_run(embeddings)
    every, num_known = _ends(new), len(fixed.scored)
    usable = np.concatenate([fixed.scored, np.zeros(len(new.items), bool)])
    dim, content = _without_content(embeddings, prior)
    fixed = fixed._replace(tables=fixed.tables.first_columns(dim))
    prior = prior.first_columns(dim)
    folding = ItemFolding(embeddings, fixed, prior, objective, passes, progress)
    folded = np.zeros(len(usable), bool)
    for numbers in (range(passes.count // 2), range(passes.count // 2, passes.count)):
        kept = usable[every.other]
        ends = Ends(*(column[kept] for column in every))
        folding.advance(ends, numbers)
        folded[num_known + ends.owner] = True
        usable[num_known:] = folded[num_known:] | has_vector
    is_folded = folded[num_known:]
    source = np.where(is_folded, PAIRS, np.where(has_vector, SIDE_INFORMATION, NOTHING))
    if weights is not None:
        weights = _with_own(weights[0], is_folded), _with_own(weights[1], is_folded)
    tables = folding.tables.with_content(content)
    added = AddedItems(tables, source, new.num_pairs, weights)
    return with_num_pairs(embeddings, added, new.num_pairs)


def items_of_run(embeddings: "Embeddings") -> Fixed:
    """The items of the run, with their training pairs."""
    weights = embeddings.pairs["weight"].to_numpy()
    mean = float(weights.mean()) if len(weights) else 1.0
    return Fixed(embeddings.score_tables, embeddings.scored, _degrees(embeddings), mean)


def _prior(
    embeddings: "Embeddings", new: NewItems
) -> tuple[ScoreTables, np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """Tables from side information, which items have a score by them, and their weights."""
    both_ways = bool(embeddings.info.get("both_ways", False))
    if embeddings.info.get("fields"):
        found = encode_items(embeddings, new.items)
        return found.tables, found.scored, found.weights
    zeros = np.zeros((len(new.items), embeddings.score_tables.keys.shape[1]), np.float32)
    tables = ScoreTables(zeros, zeros, np.zeros(len(zeros), np.float32), both_ways)
    return tables, np.zeros(len(zeros), bool), None


def _without_content(embeddings: "Embeddings", prior: ScoreTables) -> tuple[int, np.ndarray]:
    """The dimensions that training fits, and the columns (n, C) of content behind these."""
    dim = prior.queries.shape[1] - int(embeddings.info.get("content_dimension", 0))
    return dim, prior.queries[:, dim:]


def _ends(new: NewItems) -> Ends:
    """Every pair once for each new end."""
    pairs, first = new.pairs, new.pairs.num_items - len(new.items)
    both_new = pairs.heads >= first
    owner = np.concatenate([pairs.tails, pairs.heads[both_new]]).astype(np.int64) - first
    other = np.concatenate([pairs.heads, pairs.tails[both_new]]).astype(np.int64)
    weight = np.concatenate([pairs.weights, pairs.weights[both_new]])
    order = np.lexsort((other, owner))
    return Ends(owner[order], other[order], weight[order])


def with_num_pairs(
    embeddings: "Embeddings", added: AddedItems, num_pairs: np.ndarray
) -> AddedItems:
    """Added items with these numbers of pairs (n,), and the popularity term of those folded in."""
    if not learns_biases(embeddings):
        popularity = _popularity_weight(embeddings) * np.log1p(num_pairs)
        bias = np.where(added.source == PAIRS, popularity, added.tables.bias).astype(np.float32)
        added = added._replace(tables=added.tables._replace(bias=bias))
    return added._replace(num_pairs=num_pairs)


def _with_own(weights: np.ndarray, folded: np.ndarray) -> np.ndarray:
    """Weights of items whose own vector is one more part, of equal weight, where it is folded in.

    It is what the other parts leave of the vector of the item.
    """
    parts = (weights > 0).sum(1, keepdims=True)
    mixed = weights * (parts / (1 + parts))
    mixed[:, :1] = 1 / (1 + parts)
    return np.where(folded[:, None], mixed, weights).astype(np.float32)


def _degrees(embeddings: "Embeddings") -> np.ndarray:
    """Training pairs of the items that have a vector, (N,) float64; equal if none are known."""
    scored = embeddings.scored.astype(np.float64)
    if "num_pairs" not in embeddings.items.columns:
        return scored
    degrees = embeddings.items["num_pairs"].to_numpy() * scored
    return degrees if degrees.any() else scored


def _popularity_weight(embeddings: "Embeddings") -> float:
    """What the logarithm of an item's pairs is multiplied by in its bias, by least squares.

    The fit is exact where the bias is such a term.
    """
    seen = embeddings.items["seen"].to_numpy()
    logs = np.log1p(_degrees(embeddings)[seen])
    return float(embeddings.score_tables.bias[seen] @ logs / max(float(logs @ logs), 1e-12))

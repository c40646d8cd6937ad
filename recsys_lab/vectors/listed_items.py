"""Similar items of a run that has lists in place of vectors."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from recsys_lab.vectors.errors import VectorsError

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings

log = logging.getLogger(__name__)

OneList = tuple[np.ndarray, np.ndarray]  # rows and scores, both (at most K,)
REMEDY = "run the mixture again with a larger model.list_length"


def check_length(embeddings: "Embeddings", k: int) -> None:
    """Refuse lists that are longer than those of the run.

    Raises:
        VectorsError: naming the length.
    """
    length = _length(embeddings)
    if min(k, int(embeddings.scored.sum()) - 1) > length:
        raise VectorsError(
            f"k must be <= {length:,}, the length of the lists of {embeddings.folder}, got {k:,}: "
            f"{REMEDY}"
        )


def listed(embeddings: "Embeddings", rows: np.ndarray) -> list[OneList]:
    """The whole lists of items (Q,)."""
    assert embeddings.lists is not None  # noqa: S101 - narrows the type
    ids = embeddings.ids[rows].to_list()
    table = embeddings.lists.of(ids)
    found, scores = embeddings.index(table["neighbour"].to_list()), table["score"].to_numpy()
    runs = table["item"].rle().struct.unnest()  # a list lies in one piece
    ends = np.cumsum(runs["len"].to_numpy().astype(np.int64))
    pieces = zip(runs["value"], ends - runs["len"].to_numpy(), ends, strict=True)
    places = {item: slice(start, end) for item, start, end in pieces}
    return [(found[part], scores[part]) for part in (places.get(x, slice(0)) for x in ids)]


def first_allowed(
    embeddings: "Embeddings", rows: np.ndarray, k: int, masks: Iterable[np.ndarray]
) -> list[OneList]:
    """Of the list of each item the first k that its mask (N,) allows; tells where these are fewer.

    Raises:
        VectorsError: k is larger than the length of the lists.
    """
    check_length(embeddings, k)
    chosen, short = [], 0
    for (found, scores), mask in zip(listed(embeddings, rows), masks, strict=True):
        kept = np.flatnonzero(mask[found])[:k]
        chosen.append((found[kept], scores[kept]))
        short += len(kept) < k and len(found) >= _length(embeddings)
    if short:
        log.warning(
            "fewer than %s items for %s of %s: %s holds the best %s of each; for more, %s",
            k,
            f"{short:,}",
            f"{len(rows):,}",
            embeddings.folder,
            _length(embeddings),
            REMEDY,
        )
    return chosen


def _length(embeddings: "Embeddings") -> int:
    assert embeddings.lists is not None  # noqa: S101 - narrows the type
    return embeddings.lists.length


def score_in_list(embeddings: "Embeddings", one: str, other: str) -> float:
    """The score of an item with another that is in its list.

    Raises:
        VectorsError: it is not.
    """
    assert embeddings.lists is not None  # noqa: S101 - narrows the type
    if (score := embeddings.lists.score(one, other)) is None:
        raise VectorsError(
            f"{other!r} is not in the list of {one!r} in {embeddings.folder}: the method score of "
            "recsys_lab.load(...) has the scores of all pairs"
        )
    return score

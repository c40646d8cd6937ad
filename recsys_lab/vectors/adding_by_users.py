"""New items by the users who met them: for models that train users with items, not pairs of items.

The other end of a pair is a user of the run with a vector of its own, which stays. New users and
users without such a vector do not count.
"""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recsys_lab.catalog.pairs import build_pairs
from recsys_lab.vectors.adding import AddedItems, Fixed, Progress, add_items, recounted
from recsys_lab.vectors.adding_users import LaterUsers
from recsys_lab.vectors.folding import Objective
from recsys_lab.vectors.new_items import NewItems
from recsys_lab.vectors.score_form import unfold

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings


def add_by_users(
    embeddings: "Embeddings",
    new: NewItems,
    later: LaterUsers,
    objective: Objective,
    progress: Progress = lambda done, total: None,
) -> AddedItems:
    """Vectors of new items from side information and, by folding in, from their users.

    Args:
        embeddings: of a run whose users have vectors of their own.
        new: the items; their pairs of items give the term of popularity alone.
        later: what users did in a later log.
        objective: the loss.
        progress: called with the steps done, and all steps.

    Raises:
        VectorsError: users have no vectors of their own.
    """
    users = embeddings.users
    own = unfold(users.keys, both_ways=bool(embeddings.info.get("both_ways")), biased=users.biased)
    num_events = users.table["num_events"].to_numpy()
    has_vector = users.table["own"].to_numpy()
    known = pl.DataFrame({"user": users.ids}).with_row_index("row")
    found = pl.DataFrame({"user": later.ids}).join(
        known, on="user", how="left", maintain_order="left"
    )
    rows = found["row"].cast(pl.Int64).fill_null(-1).to_numpy()[later.owners]
    first, count = len(embeddings), len(new.items)
    chosen = (later.items >= first) & (rows >= 0)
    items = (later.items[chosen] - first + len(users)).astype(np.int32)
    total = len(users) + count
    pairs = build_pairs(rows[chosen].astype(np.int32), items, later.weights[chosen], total)
    mean = float(pairs.weights.mean()) if len(pairs) else 1.0
    fixed = Fixed(own, has_vector, num_events * has_vector.astype(np.float64), mean)
    by_users = new._replace(pairs=pairs, relations=np.zeros(len(pairs), np.uint8))
    added = add_items(embeddings, by_users, objective, progress=progress, fixed=fixed)
    ends = np.concatenate([new.pairs.heads, new.pairs.tails]).astype(np.int64) - first
    return recounted(embeddings, added, np.bincount(ends[ends >= 0], minlength=count))

"""New items and new users of models that train users with items, and not pairs of items.

A new item is fitted to the users of the run who met it, a new user to the items of the run that it
met. What is new is not fitted to what is new.
"""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recsys_lab.catalog.pairs import build_pairs
from recsys_lab.readers.records import ITEM_SCHEMA
from recsys_lab.vectors.adding import PAIRS, AddedItems, add_items, items_of_run, with_num_pairs
from recsys_lab.vectors.adding_users import LaterUsers, OwnVectors
from recsys_lab.vectors.folding import Objective
from recsys_lab.vectors.item_folding import Fixed, Progress
from recsys_lab.vectors.new_items import NewItems
from recsys_lab.vectors.score_form import unfold
from recsys_lab.vectors.store import TEXT_COLUMNS

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings


def add_users(embeddings: "Embeddings", later: LaterUsers, objective: Objective) -> OwnVectors:
    """Vectors of the users that a run does not have, by folding in.

    Args:
        embeddings: of the run.
        later: what users did in a later log.
        objective: the loss.
    """
    is_new = ~later.ids.is_in(embeddings.users.ids.implode()).to_numpy()
    places = np.where(is_new, np.cumsum(is_new) - 1, -1)
    first, count = len(embeddings), int(is_new.sum())
    owners = places[later.owners]
    chosen = (owners >= 0) & (later.items < first)
    users = (first + owners[chosen]).astype(np.int32)
    items = later.items[chosen].astype(np.int32)
    pairs = build_pairs(items, users, later.weights[chosen], first + count)
    nothing = pl.DataFrame(schema={name: ITEM_SCHEMA[name] for name in TEXT_COLUMNS})
    unknown = pl.concat([nothing, pl.DataFrame({"item": later.ids.filter(is_new)})], how="diagonal")
    new = NewItems(unknown, pairs, np.zeros(len(pairs), np.uint8), 0)
    mean = float(pairs.weights.mean()) if len(pairs) else 1.0
    fixed = items_of_run(embeddings)._replace(mean_weight=mean)
    added = add_items(embeddings, new, objective, fixed=fixed)
    return OwnVectors(places, added.tables, added.source == PAIRS)


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
    return with_num_pairs(embeddings, added, new.num_pairs)

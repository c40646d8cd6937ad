"""Requests for similar items by id or title, answered as plain values that JSON can hold."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.for_nodes import nearest_nodes
from recsys_lab.vectors.lookup import find_rows, not_found
from recsys_lab.vectors.score_parts import score_parts
from recsys_lab.vectors.similar import Wishes, similar_items
from recsys_lab.vectors.store import FOLDER, TEXT_COLUMNS

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings
Plain = dict[str, Any]
MOST_CHOICES = 20  # items that are listed to choose from
MEASURE = "test/ndcg@10/all"


def answer(
    embeddings: "Embeddings",
    asked: Sequence[str],
    k: int,
    wishes: Wishes,
    *,
    explain: bool,
    group: str | None = None,
) -> Plain:
    """The similar items of what is asked for: a document with these fields.

    - run, score: folder and name of the score; ndcg@10: of the run on its test pairs, or null.
    - group: of the nodes that are listed, or null where items are.
    - note: why scores are not taken apart though `explain` is set, or null.
    - answers, one for each text asked for: asked, item (null unless it is one), similar, choices
      (the first of the items that the words of a title fit), num_choices, and error (null, or why
      there are no similar items).

    An item has item, title, brand, categories, price and seen. A similar one also has score,
    relation (null for what is no training pair) and, with `explain`, parts. With `group`, the
    similar ones are nodes of that group: users, types or labels with name, score and count.

    Raises:
        VectorsError: an option cannot be used.
    """
    answers, note = [], None
    for text in asked:
        answers.append(_empty(text))
        row = _resolve(embeddings, answers[-1])
        if row is not None and group is not None:
            query = np.asarray(embeddings.query(row)[0], np.float32)
            answers[-1]["similar"] = plain(nearest_nodes(embeddings, query, group, k))
        elif row is not None:
            found = similar_items(embeddings, np.array([row]), k, wishes).drop("query_item")
            answers[-1]["similar"] = plain(found)
            if explain:
                note = _explain(embeddings, row, answers[-1]["similar"])
    return answer_head(embeddings) | {"group": group, "note": note, "answers": answers}


def answer_head(embeddings: "Embeddings") -> Plain:
    """The run, its score, and how it was measured."""
    return {
        "run": place_of(embeddings),
        "score": embeddings.info.get("score"),
        "ndcg@10": embeddings.info.get("metrics", {}).get(MEASURE),
    }


def place_of(embeddings: "Embeddings") -> str:
    """The run folder, or the file that is of none."""
    is_run = embeddings.folder.name == FOLDER
    return str(embeddings.folder.parent if is_run else embeddings.path)


def _empty(text: str) -> Plain:
    return {
        "asked": text, "item": None, "similar": [], "choices": [], "num_choices": 0, "error": None
    }  # fmt: skip


def _resolve(embeddings: "Embeddings", one: Plain) -> int | None:
    """The row of the item that is asked for; fills in the item, the choices or the error."""
    try:
        rows = find_rows(embeddings.items, one["asked"])
    except VectorsError as error:
        one["error"] = str(error)
        return None
    items = plain(embeddings.items.select(*TEXT_COLUMNS, "seen")[rows[:MOST_CHOICES]])
    if not items:
        one["error"] = not_found(embeddings.items, one["asked"])
    elif len(items) > 1:
        one |= {"choices": items, "num_choices": len(rows)}
    else:
        one["item"] = items[0]
        if embeddings.scored[rows[0]]:
            return int(rows[0])
        name = items[0]["item"]
        one["error"] = f"item {name!r} has no similar items: {embeddings.why_not(rows[0])}"
    return None


def _explain(embeddings: "Embeddings", row: int, similar: list[Plain]) -> str | None:
    """Add the parts of the scores; returns why there are none, or None."""
    try:
        rows = embeddings.index([one["item"] for one in similar])
        parts = score_parts(embeddings, row, rows)
    except VectorsError as error:
        return str(error)
    for place, one in enumerate(similar):
        one["parts"] = {name: float(values[place]) for name, values in parts.items()}
    return None


def plain(items: pl.DataFrame) -> list[Plain]:
    """Rows as plain values; a number that JSON cannot hold is null."""
    return [
        {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        for row in items.iter_rows(named=True)
    ]

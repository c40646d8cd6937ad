"""Requests for similar items by id or title, answered as plain values that JSON can hold."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.lookup import find_rows, not_found
from recsys_lab.vectors.store import FOLDER, TEXT_COLUMNS

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings
    from recsys_lab.vectors.similar import Wishes

Plain = dict[str, Any]
MOST_CHOICES = 20  # items that are listed to choose from
MEASURE = "test/ndcg@10/all"


def answer(
    embeddings: "Embeddings", asked: Sequence[str], k: int, wishes: "Wishes", *, explain: bool
) -> Plain:
    """The similar items of what is asked for: a document with these fields.

    - run, score: folder and name of the score; ndcg@10: of the run on its test pairs, or null.
    - note: why scores are not taken apart though `explain` is set, or null.
    - answers, one for each text asked for: asked, item (null unless it is one), similar, choices
      (the first of the items that the words of a title fit), num_choices, and error (null, or why
      there are no similar items).

    An item has item, title, brand, categories, price and seen. A similar one also has score,
    relation (null for what is no training pair) and, with `explain`, parts.

    Raises:
        VectorsError: an option cannot be used.
    """
    answers = [_resolve(embeddings, text) for text in asked]
    places = [place for place, one in enumerate(answers) if one["error"] is None and one["item"]]
    rows = embeddings.index([answers[place]["item"]["item"] for place in places])
    note = None
    for place, row, found in zip(places, rows, _lists(embeddings, rows, k, wishes), strict=True):
        answers[place]["similar"] = _plain(found)
        if explain:
            note = _explain(embeddings, int(row), found, answers[place]["similar"])
    return {
        "run": str(embeddings.folder.parent if embeddings.folder.name == FOLDER else
                   embeddings.path),
        "score": embeddings.info.get("score"),
        "ndcg@10": embeddings.info.get("metrics", {}).get(MEASURE),
        "note": note,
        "answers": answers,
    }  # fmt: skip


def _resolve(embeddings: "Embeddings", text: str) -> Plain:
    """The item that a text names, or items to choose from, or what is wrong with it."""
    result: Plain = {
        "asked": text, "item": None, "similar": [], "choices": [], "num_choices": 0, "error": None
    }  # fmt: skip
    try:
        rows = find_rows(embeddings.items, text)
    except VectorsError as error:
        return result | {"error": str(error)}
    if not len(rows):
        return result | {"error": not_found(embeddings.items, text)}
    columns = embeddings.items.select(*TEXT_COLUMNS, "seen")
    if len(rows) > 1:
        choices = _plain(columns[rows[:MOST_CHOICES]])
        return result | {"choices": choices, "num_choices": len(rows)}
    result["item"] = _plain(columns[rows])[0]
    if not embeddings.scored[rows[0]]:
        name = result["item"]["item"]
        result["error"] = f"item {name!r} has no similar items: {embeddings.why_not(rows[0])}"
    return result


def _lists(
    embeddings: "Embeddings", rows: np.ndarray, k: int, wishes: "Wishes"
) -> list[pl.DataFrame]:
    from recsys_lab.vectors.similar import similar_items

    ids = embeddings.ids[rows].to_list()
    lists = similar_items(embeddings, rows, k, wishes).partition_by("query_item", as_dict=True)
    empty = embeddings.items.select(TEXT_COLUMNS).clear()
    return [lists.get((name,), empty).drop("query_item", strict=False) for name in ids]


def _explain(
    embeddings: "Embeddings", row: int, found: pl.DataFrame, similar: list[Plain]
) -> str | None:
    """Add the parts of the scores; returns why there are none, or None."""
    from recsys_lab.vectors.score_parts import score_parts

    try:
        parts = score_parts(embeddings, row, embeddings.index(found["item"].to_list()))
    except VectorsError as error:
        return str(error)
    for place, one in enumerate(similar):
        one["parts"] = {name: float(values[place]) for name, values in parts.items()}
    return None


def _plain(items: pl.DataFrame) -> list[Plain]:
    """Rows as plain values; a number that JSON cannot hold is null."""
    return [
        {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        for row in items.iter_rows(named=True)
    ]

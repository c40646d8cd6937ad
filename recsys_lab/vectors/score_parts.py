"""What a score consists of: the own vector of an item, its brand, its categories, its price."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recsys_lab.catalog.catalog import ItemCatalog, bin_prices
from recsys_lab.catalog.title_terms import title_terms
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.store import TEXT_COLUMNS

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings

OWN, PRODUCT, BIAS, CONTENT = "id", "vectors", "popularity", "content"


def score_parts(embeddings: "Embeddings", row: int, others: np.ndarray) -> dict[str, np.ndarray]:
    """Terms whose sum is the score of an item with others (n,), each (n,), by name.

    A score is linear in the vectors of the other item. For models of side information these are
    taken apart: "id" is the term of the other's own vector, and every field has the term of the
    other's values in it. The vectors of the item itself stay whole. "content" is the cosine of
    labels, where the score has it. For other models, "vectors" is
    the product of the vectors. "popularity" is the bias of both items, where the model has biases.

    Raises:
        VectorsError: the score is one product, which has no terms.
    """
    tables = embeddings.score_tables
    query, found = tables.take(np.array([row])), tables.take(others)
    center, context = query.queries[0], query.keys[0]
    if tables.both_ways:
        product = (found.keys @ center + found.queries @ context) / 2
    else:
        product = found.keys @ center
    parts: dict[str, np.ndarray] = {}
    dim = len(center) - int(embeddings.info.get("content_dimension", 0))
    if embeddings.info.get("fields"):
        for part, name in enumerate(embeddings.info["fields"], start=1):
            centers, contexts = _field_vectors(embeddings, others, part, name)
            if tables.both_ways:
                parts[name] = (centers @ context[:dim] + contexts @ center[:dim]) / 2
            else:
                parts[name] = centers @ center[:dim]
        if dim < len(center):
            parts[CONTENT] = found.keys[:, dim:] @ center[dim:]
        parts = {OWN: product - np.sum(list(parts.values()), axis=0)} | parts
    elif embeddings.info.get("biased"):
        parts = {PRODUCT: product}
    else:
        raise VectorsError(
            "the score is one product of two vectors: it has no parts to show, neither side "
            "information nor popularity"
        )
    if embeddings.info.get("biased"):
        parts[BIAS] = query.bias[0] + found.bias
    return parts


def _field_vectors(
    embeddings: "Embeddings", rows: np.ndarray, part: int, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """What a field adds to the center and context vectors of items (n,), each (n, D)."""
    values = embeddings.values.filter(pl.col("field") == name)
    items = embeddings.items[rows].select(TEXT_COLUMNS)
    labels = item_labels(items, name, np.array(embeddings.info.get("price_edges", [])))
    numbered = values.select("label").with_row_index("value")
    found = labels.join(numbered, on="label", how="inner")
    owner, value = found["owner"].to_numpy(), found["value"].to_numpy()
    counts = np.bincount(owner, minlength=len(rows)).clip(1)
    sums = []
    for column, weights in zip(("center", "context"), embeddings.part_weights, strict=True):
        vectors = values[column].gather(value).to_numpy()
        total = np.zeros((len(rows), vectors.shape[1]), np.float32)
        np.add.at(total, owner, vectors)
        sums.append(total * (weights[rows, part] / counts)[:, None])
    return sums[0], sums[1]


def item_labels(items: pl.DataFrame, field: str, price_edges: np.ndarray) -> pl.DataFrame:
    """Columns owner (place in `items`) and label of each value that items have in a field."""
    if field == "price":
        price = items["price"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        owner = np.flatnonzero(np.isfinite(price)) if len(price_edges) else np.empty(0, np.int64)
        names, place = bin_prices(price[owner], price_edges) if len(owner) else ([], owner)
        return _labels(owner, [names[p] for p in place])
    if field == "title":
        return title_terms(items["title"])
    catalog = ItemCatalog(items)
    level = field.removeprefix("category_")
    if level.isdecimal() and int(level) >= catalog.num_levels:
        return _labels(np.empty(0, np.int64), [])
    codes = catalog.field(field)
    owner = np.repeat(np.arange(len(items)), np.diff(codes.offsets))
    return _labels(owner, [codes.labels[code] for code in codes.codes])


def _labels(owner: np.ndarray, labels: list[str]) -> pl.DataFrame:
    schema = {"owner": pl.Int64, "label": pl.String}
    return pl.DataFrame({"owner": owner, "label": labels}, schema=schema)

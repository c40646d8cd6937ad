"""Vectors of items from their side information alone, as the trained encoder makes them."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import orjson
import polars as pl

from recsys_lab.catalog.title_terms import IS_BUCKET
from recsys_lab.compute.label_columns import item_columns
from recsys_lab.readers.fields import read_brand, read_categories, read_price, read_title
from recsys_lab.readers.records import ITEM_SCHEMA
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.score_form import ScoreTables, fold
from recsys_lab.vectors.score_parts import item_labels
from recsys_lab.vectors.store import TEXT_COLUMNS

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings

log = logging.getLogger(__name__)

_GIVEN_BY = {"brand": "brand", "category": "categories", "price": "price"}  # field -> argument


class EncodedItem(NamedTuple):
    """The vectors of an item that the run does not have.

    Attributes:
        vector: (D,) the plain item vector.
        query: (E,) searches the keys of the run.
        key: (E,) is found by the queries of the run.
        scored: whether the products are scores of the run. They are not where the score needs
            contexts and the contexts of the model are item ids alone.
        unknown: values that training never met, by field; they are left out.
    """

    vector: np.ndarray
    query: np.ndarray
    key: np.ndarray
    scored: bool
    unknown: Mapping[str, list[str]]


class EncodedItems(NamedTuple):
    """The vectors of n items, arranged for the score of the run.

    Attributes:
        tables: vectors and biases; zero where an item has no known value.
        has_vector: (n,) bool.
        scored: (n,) bool, the items that the model can score.
        weights: (n, 1 + F) of center and context vectors, see `store.SideInfo`.
        unknown: field, label and owner (place of the item) of the values that training never met,
            without pairs of words.
    """

    tables: ScoreTables
    has_vector: np.ndarray
    scored: np.ndarray
    weights: tuple[np.ndarray, np.ndarray]
    unknown: pl.DataFrame


def encode_item(
    embeddings: "Embeddings",
    *,
    brand: str | None,
    categories: Sequence[Sequence[str]] | Sequence[str] | None,
    price: float | str | None,
    title: str | None,
) -> EncodedItem:
    """The vectors of one item, see `Embeddings.encode`."""
    fields = _fields_of(embeddings)
    given = {"brand": brand, "categories": categories, "price": price, "title": title}
    _refuse_untrained({name for name, value in given.items() if value is not None}, fields)
    found = encode_items(embeddings, _one_row(brand, categories, price, title))
    unknown = {
        str(name): rows["label"].to_list()
        for (name,), rows in found.unknown.group_by("field", maintain_order=True)
    }
    if not found.has_vector[0]:
        met = "; ".join(
            f"{name} {', '.join(map(repr, labels))}" for name, labels in unknown.items()
        )
        raise VectorsError(
            f"training met none of these values ({met or 'none is left after cleaning'}): give "
            f"values of {_and(fields)} that items of {embeddings.folder} have"
        )
    for name, labels in unknown.items():
        log.warning("%s: training never met %s, left out", name, ", ".join(map(repr, labels)))
    query, key = fold(found.tables, biased=bool(embeddings.info.get("biased")))
    return EncodedItem(found.tables.queries[0], query[0], key[0], bool(found.scored[0]), unknown)


def encode_items(embeddings: "Embeddings", items: pl.DataFrame) -> EncodedItems:
    """The vectors of items as the encoder of side information gives them to cold items.

    The mean over the fields that have a known value, within a field over its known values: the
    weights of attention are never learned for a cold item, so they are equal for both poolings.
    Where the run sums features, it is the sum over all known values by size ** -size_exponent.

    Args:
        embeddings: of a run whose model has side information.
        items: n rows with TEXT_COLUMNS, cleaned as on reading.

    Raises:
        VectorsError: the model has no side information.
    """
    fields, info = _fields_of(embeddings), embeddings.info
    edges = np.array(info.get("price_edges", []))
    values = embeddings.values.with_row_index("value")
    known = items_values(items, fields, edges, values.select("field", "label", "value"))
    parts = known.drop_nulls("value").with_columns(share=_share(info.get("size_exponent")))
    weights = np.zeros((len(items), 1 + len(fields)), np.float32)
    owner = parts["owner"].to_numpy()
    part = parts["field"].replace_strict(fields, range(1, 1 + len(fields)), return_dtype=pl.Int64)
    np.add.at(weights, (owner, part.to_numpy()), parts["share"].to_numpy())
    sums, dim = [], int(info["dimension"]) - int(info.get("content_dimension", 0))
    for column in ("center", "context"):
        vectors = values[column].gather(parts["value"]).to_numpy()
        sums.append(np.zeros((len(items), dim), np.float32))
        np.add.at(sums[-1], owner, vectors * parts["share"].to_numpy()[:, None])
    contexts_too = bool(embeddings.part_weights[1][:, 1:].any())
    unknown = known.filter(pl.col("value").is_null() & ~((pl.col("field") == "title") & IS_BUCKET))
    found = _arrange(embeddings, sums, weights, contexts_too, unknown)
    if "content" not in values.columns:
        return found
    rows = values["content"].to_numpy()
    content = item_columns(owner, parts["value"].to_numpy(), rows, len(items))
    content = content * np.float32(info["content_weight"] ** 0.5)
    return found._replace(tables=found.tables.with_content(content))


def items_values(
    items: pl.DataFrame, fields: Sequence[str], edges: np.ndarray, values: pl.DataFrame
) -> pl.DataFrame:
    """The values of items: field, label, owner (place of the item), value (null if not known).

    Args:
        items: with TEXT_COLUMNS.
        fields: names.
        edges: of the bins of prices.
        values: field, label and value, the number of each that is known.
    """
    labels = pl.concat(
        [item_labels(items, name, edges).with_columns(field=pl.lit(name)) for name in fields]
    )
    return labels.join(values, on=["field", "label"], how="left", maintain_order="left")


def mean_of_values(parts: pl.DataFrame, vectors: np.ndarray, num_items: int) -> np.ndarray:
    """Means (n, D) over the fields of an item, and within a field over its values; zero of none.

    Args:
        parts: field, owner and value of each known value.
        vectors: (V, D) of the values.
        num_items: n.
    """
    shares = parts.select(share=_share(None))["share"].to_numpy()
    means = np.zeros((num_items, vectors.shape[1]), np.float32)
    chosen = vectors[parts["value"].to_numpy()] * shares[:, None]
    np.add.at(means, parts["owner"].to_numpy(), chosen)
    return means


def _share(size_exponent: float | None) -> pl.Expr:
    """What a value counts among those of its owner."""
    if size_exponent is not None:
        return pl.len().over("owner").cast(pl.Float64) ** -size_exponent
    return 1.0 / (pl.len().over("owner", "field") * pl.col("field").n_unique().over("owner"))


def _arrange(
    embeddings: "Embeddings",
    sums: list[np.ndarray],
    weights: np.ndarray,
    contexts_too: bool,
    unknown: pl.DataFrame,
) -> EncodedItems:
    """Center and context vectors (n, D) in the form of the score."""
    info = embeddings.info
    has_vector = np.asarray(weights.any(1))
    bias = np.where(has_vector, info.get("cold_bias", 0.0), 0.0).astype(np.float32)
    both_ways = bool(info["both_ways"])
    context_weights = weights if contexts_too else np.zeros_like(weights)
    if info["score"] == "cosine":
        lengths = np.linalg.norm(sums[0], axis=1, keepdims=True).clip(1e-12)
        sums[0], weights = sums[0] / lengths, weights / lengths
    tables = ScoreTables(sums[0], sums[1] if both_ways else sums[0], bias, both_ways)
    scored = has_vector if contexts_too or not both_ways else np.zeros_like(has_vector)
    unknown = unknown.select("field", "label", "owner")
    return EncodedItems(tables, has_vector, scored, (weights, context_weights), unknown)


def _one_row(
    brand: str | None,
    categories: Sequence[Sequence[str]] | Sequence[str] | None,
    price: float | str | None,
    title: str | None,
) -> pl.DataFrame:
    """The values of one item, cleaned as those of a catalogue."""
    notes: list[str] = []
    if isinstance(categories, str):
        raise VectorsError(f"categories must be a list, got {categories!r}: give [{categories!r}]")
    flat = None if categories is None else [x for x in categories if isinstance(x, str)]
    nested = None if flat else [list(x) for x in categories or () if not isinstance(x, str)]
    packed = read_categories(nested, flat)
    row = {
        "item": "",
        "title": read_title(title),
        "brand": read_brand(brand, notes),
        "categories": None if packed is None else orjson.loads(packed),
        "price": read_price(price, notes),
    }
    for note in notes:
        log.warning("%s, left out", note)
    schema = {name: ITEM_SCHEMA[name] for name in TEXT_COLUMNS}
    return pl.DataFrame({name: [value] for name, value in row.items()}, schema=schema)


def _fields_of(embeddings: "Embeddings") -> list[str]:
    fields = list(embeddings.info.get("fields", []))
    if not fields:
        raise VectorsError(
            f"the model of {embeddings.folder} has no side information, so only its own items have "
            "vectors: train with model=skipgram_side_info"
        )
    return fields


def _refuse_untrained(given: set[str], fields: Sequence[str]) -> None:
    """Every given value must be of a field that the model was trained on."""
    usable = {_GIVEN_BY.get(name.partition("_")[0], name) for name in fields}
    if not given:
        raise VectorsError(f"an item without any value has no vector: give {_and(sorted(usable))}")
    if wrong := sorted(given - usable):
        raise VectorsError(
            f"the model was not trained on {_and(wrong)}, its fields are {_and(fields)}: leave "
            "out the others"
        )


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))

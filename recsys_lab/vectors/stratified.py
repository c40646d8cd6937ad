"""A sample of items to look at: from every category, with popular and with rare items."""

import numpy as np
import polars as pl

_MAX_SHARE = 0.9  # of the items with a category, under one label of a level that tells them apart


def main_categories(categories: pl.Series) -> pl.Series:
    """One label for each item, null where it has no category.

    The label is taken from the item's first category path, at the broadest level at which no label
    holds more than nine tenths of the items: in a catalogue of one department these are its
    divisions. An item whose path is shorter has its last label.

    Args:
        categories: category paths of each item, the broadest label first.
    """
    labels = pl.Series("category", [None] * len(categories), dtype=pl.String)
    if categories.dtype != pl.List(pl.List(pl.String)):  # there are none
        return labels
    paths = categories.list.first()
    for level in range(int(paths.list.len().max() or 0)):  # type: ignore[arg-type]
        deeper = paths.list.get(level, null_on_oob=True)
        labels = deeper.zip_with(deeper.is_not_null(), labels).alias("category")
        counts = labels.drop_nulls().value_counts()["count"]
        if counts.max() <= _MAX_SHARE * counts.sum():  # type: ignore[operator]
            break
    return labels


def stratified_sample(labels: pl.Series, num_pairs: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Rows of a sample, ascending; all rows where there are no more than `size`.

    Every label gets the same share of its items, and at least one where `size` allows. About half
    of a label's share are its most popular items, the others are drawn at random.

    Args:
        labels: (N,) the label of each item, null for none.
        num_pairs: (N,) popularity.
        size: items of the sample.
        seed: of the draw.
    """
    if len(labels) <= size:
        return np.arange(len(labels))
    codes = labels.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    chance = np.random.default_rng(seed).permutation(len(codes))
    popular = _places(codes, np.lexsort((chance, -num_pairs.astype(np.int64), codes)))
    drawn = _places(codes, np.lexsort((chance, codes)))
    share = np.minimum(2 * popular, 2 * drawn + 1) / np.bincount(codes)[codes]
    return np.sort(np.lexsort((chance, share))[:size])


def _places(codes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Place (N,) of each row among the rows of its code, in an order that is sorted by code."""
    first = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    places = np.empty(len(codes), np.int64)
    places[order] = np.arange(len(codes)) - first[codes[order]]
    return places

"""The table behind a map of the catalogue: where each item lies, what it is, and its neighbours."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Count
from recsys_lab.results.files import atomic_path
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.projection import nearest, project
from recsys_lab.vectors.stratified import main_categories, stratified_sample

_FORMAT = 1  # raise it when the table or the way to its coordinates changes


@checked
@dataclass(frozen=True)
class MapOptions:
    """What decides a map.

    Attributes:
        sample: the largest number of items; more are sampled.
        neighbors: neighbours of each item.
        seed: of the sample and the projection.
    """

    sample: Annotated[int, Ge(3)] = 200_000
    neighbors: Count = 10
    seed: int = 0


def prepare_map(embeddings: Embeddings, options: MapOptions, note: Callable[[str], None]) -> Path:
    """The table of the map as Parquet beside the embeddings; it is made once for each setting.

    Columns: x, y, id, title (the id where there is none), brand, category (`main_categories`),
    price, num_pairs, and neighbors: the row numbers of the items with the largest scores, and
    the scores with their sign turned as distances. Items that the model cannot score are left out.

    Args:
        embeddings: items, vectors, queries and keys.
        options: size and seed.
        note: called with a sentence about what is left out.

    Raises:
        VectorsError: too few items can be scored, or a library is not installed.
        ValueError: an option cannot be used.
    """
    rows, items = _choose(embeddings, options, note)
    path = embeddings.folder / f"map-{_settings(embeddings, options)}.parquet"
    if path.is_file():
        return path
    place = project(embeddings.vectors[rows], options.seed)
    queries, keys = embeddings.queries[rows], embeddings.keys[rows]
    k = min(options.neighbors, len(rows) - 1)
    found, scores = nearest(queries, keys, k, "neighbours by score")
    near = {"ids": pl.Series(found).arr.to_list(), "distances": pl.Series(-scores).arr.to_list()}
    table = pl.DataFrame({"x": place[:, 0], "y": place[:, 1]}).with_columns(
        *items, pl.DataFrame(near).to_struct("neighbors")
    )
    with atomic_path(path) as part:
        table.write_parquet(part)
    return path


def _choose(
    embeddings: Embeddings, options: MapOptions, note: Callable[[str], None]
) -> tuple[np.ndarray, pl.DataFrame]:
    """Rows (n,) of the map's items, and what is shown of them."""
    scored = np.flatnonzero(embeddings.scored)
    if left := len(embeddings) - len(scored):
        note(f"{left:,} of {len(embeddings):,} items are left out: the model cannot score them")
    items = embeddings.items
    num_pairs = items["num_pairs"] if "num_pairs" in items.columns else pl.lit(0, pl.Int32)
    items = items[scored].select(
        pl.col("item").alias("id"),
        pl.coalesce(pl.col("title").cast(pl.String), "item").alias("title"),
        pl.col("brand").cast(pl.String),
        main_categories(items["categories"])[scored],
        pl.col("price").cast(pl.Float64).fill_nan(None),
        num_pairs=num_pairs[scored] if isinstance(num_pairs, pl.Series) else num_pairs,
    )
    popularity = items["num_pairs"].to_numpy()
    chosen = stratified_sample(items["category"], popularity, options.sample, options.seed)
    if len(chosen) < len(scored):
        note(
            f"the map shows a sample of {len(chosen):,} of {len(scored):,} items, from every "
            "category, popular and rare: --sample takes another number"
        )
    return scored[chosen], items[chosen]


def _settings(embeddings: Embeddings, options: MapOptions) -> str:
    """A short name for the embeddings and the options."""
    file = embeddings.path.stat()
    what = [_FORMAT, embeddings.path.name, file.st_size, file.st_mtime_ns, asdict(options)]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]

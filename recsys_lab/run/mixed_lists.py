"""The similar items of every item by a mixture, which its run keeps in place of vectors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.evaluation.mixtures import Mixture
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.run.progress import Progress
from recsys_lab.run.run_embeddings import info_of, items_of, pairs_of
from recsys_lab.vectors.list_files import Lists, Parts, blocks_of, write_lists
from recsys_lab.vectors.search import empty_lists, finish_lists, merge_scores
from recsys_lab.vectors.store import FOLDER, LISTS, Listed, write_listed

MAX_ITEMS = 100_000  # of lists that a run makes: ten minutes on one core, and hours of 400,000
_SCORES = 2**25  # that are held at a time, 128 MB
_PART = 8  # times as many are those of a part, which a stopped start loses


def write_mixture(
    folder: Path,
    mixture: Mixture,
    length: int,
    prepared: PreparedData,
    configuration: Mapping[str, Any],
    metrics: Mapping[str, Any],
    *,
    shows_progress: bool,
) -> Path:
    """Write the folder `embeddings/` of a mixture; returns it.

    The lists are made in parts; a second start with the same mixture goes on after the last one.

    Args:
        folder: of the run.
        mixture: of all items.
        length: of the lists.
        prepared: items and training pairs.
        configuration: of the run; empty where there is none.
        metrics: of the run; seed, hashes, versions and test metrics are kept.
        shows_progress: whether there is a bar.
    """
    ids, out = prepared.catalog.raw_ids, folder / LISTS
    size = max(1, _SCORES // len(ids))
    identity = _identity(mixture, prepared, length, _PART * size)
    progress = Progress("lists of similar items", len(ids), is_shown=shows_progress)
    try:
        write_lists(
            ids,
            blocks_of(np.arange(len(ids)), _PART * size),
            Parts(out, identity),
            lambda blocks: (best_items(mixture, rows, len(ids), length, size) for rows in blocks),
            lambda done, total: progress.update(done),
        )
    finally:
        progress.close()
    listed = pl.scan_parquet(out).select(pl.col("item").unique()).collect()["item"]
    items = items_of(prepared).with_columns(scored=pl.col("item").is_in(listed.implode()))
    info = info_of(prepared, configuration, metrics) | {"score": "mixture"}
    write_listed(folder / FOLDER, Listed(items, pairs_of(prepared), info, out, length))
    return folder / FOLDER


def best_items(scorer: Scorer, rows: np.ndarray, num_items: int, k: int, size: int) -> Lists:
    """The k items with the largest scores for each of some items (n,), which are not their own.

    Equal scores are ordered by item; there are fewer than k where others have no score.

    Args:
        scorer: of all items.
        rows: (n,) the items.
        num_items: that the scorer has.
        k: length of the lists.
        size: items whose scores are held at a time.
    """
    every = np.arange(num_items, dtype=np.int32)
    allowed, best = np.ones(num_items, np.bool_), empty_lists(len(rows), k)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        scores = np.asarray(scorer.score_rows(rows[part]), np.float32)
        merge_scores(scores, every, allowed, rows[part], (best[0][part], best[1][part]))
    return finish_lists(best)


def _identity(mixture: Mixture, prepared: PreparedData, length: int, part: int) -> dict[str, Any]:
    """What decides the lists, and how they are cut into parts."""
    products = mixture.products
    return {
        "k": length,
        "block": part,
        "vocabulary": prepared.vocabulary_hash,
        "split": prepared.split_hash,
        "parts": list(mixture.parts),
        "forms": [list(form) for form in mixture.forms],
        "weights": mixture.weights.tolist(),
        "products": None if products is None else products.tolist(),
    }

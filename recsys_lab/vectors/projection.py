"""Vectors projected onto the plane."""

import sys
import warnings

import numpy as np
from rich.console import Console
from rich.progress import track

from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.search import top_k

MIN_ITEMS = 3
_NEIGHBORS = 15  # of UMAP: smaller shows finer, larger coarser structure
_QUERIES = 8192  # searched at once, so that progress shows


def project(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Coordinates (n, 2) float32 by UMAP under cosine; the same seed gives the same ones.

    UMAP (McInnes, Healy and Melville, 2018) keeps near what is near; distances between far groups
    mean little. Its graph is built from exact nearest neighbours, not from approximate ones.

    Args:
        vectors: (n, D) float32, at least 3.
        seed: of the layout.

    Raises:
        VectorsError: there are fewer than 3 vectors, or the library is not installed.
    """
    if len(vectors) < MIN_ITEMS:
        raise VectorsError(
            f"a map needs at least {MIN_ITEMS} items that the model can score, got {len(vectors)}"
        )
    try:
        from umap import UMAP
    except ImportError as error:
        raise VectorsError(
            "a map is projected by umap-learn: install it with pip install -e '.[explore]'"
        ) from error
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    neighbors = min(_NEIGHBORS, len(unit) - 1)
    rows, similarities = nearest(unit, unit, neighbors - 1, "nearest items")
    itself = np.arange(len(unit), dtype=rows.dtype)[:, None]
    graph = np.hstack([itself, rows]), np.hstack([0 * itself, 1 - similarities]).clip(0)
    layout = UMAP(
        n_neighbors=neighbors,
        metric="cosine",
        precomputed_knn=graph,
        init="pca" if len(unit) > _NEIGHBORS + 1 else "random",
        random_state=seed,
        n_jobs=1,
        tqdm_kwds={"desc": "projection", "disable": None, "file": sys.stderr},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that new items cannot be added, or that there are few
        return np.asarray(layout.fit_transform(unit), np.float32)


def nearest(
    queries: np.ndarray, keys: np.ndarray, k: int, description: str
) -> tuple[np.ndarray, np.ndarray]:
    """The k other rows with the largest inner products of each row, by `top_k`, with progress.

    Args:
        queries: (n, E) float32.
        keys: (n, E) float32, of the same rows.
        k: length of the lists, below n.
        description: stands before the progress, on standard error.
    """
    rows = np.arange(len(queries))
    starts = range(0, len(queries), _QUERIES)
    parts = []
    for start in track(starts, description, console=Console(stderr=True), transient=True):
        some = rows[start : start + _QUERIES]
        parts.append(top_k(queries[some], keys, k, exclude=some))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

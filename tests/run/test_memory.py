"""Peak memory of whole runs: it grows with items and pairs, not with window pairs."""

from pathlib import Path

import pytest

from tests.run_cases import metrics, train


def megabytes(folder: Path, *words: str) -> float:
    done = train(
        folder, "catalog.num_items=20000", "data.walks_per_batch=600", "trainer.max_epochs=1",
        "model.embedding_dim=8", "curve.every_n_batches=1000", "evaluation.replicates=0",
        "embeddings=false", "projector=0", *words,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return float(metrics(folder)["fit/peak_rss_mb"])


@pytest.mark.soak
def test_memory_grows_with_items_and_pairs_not_with_window_pairs(tmp_path: Path) -> None:
    megabytes(tmp_path / "compiles", "catalog.num_items=300")  # which takes memory, too
    few = megabytes(tmp_path / "few", "data.window=1", "data.source.walks_per_item=2")
    many = megabytes(tmp_path / "many", "data.window=9", "data.source.walks_per_item=40")
    items = megabytes(tmp_path / "items", "catalog.num_items=80000", "data.window=1")
    print(f"{few:.0f} MB, {many:.0f} for 180 times the windows, {items:.0f} for 4 times the items")  # noqa: T201
    assert many < 1.1 * few
    assert items < 4.5 * few

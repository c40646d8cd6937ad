"""The figures of docs/scale.md, by hand on small cases; every table is printed."""

import math

import numpy as np
import pytest

from benchmarks import scale
from recsys_lab.graph.graph import ItemGraph


def two_cliques(size: int, bridges: int) -> ItemGraph:
    heads, tails = np.triu_indices(size, 1)
    between = np.arange(bridges)
    heads, tails = np.r_[heads, heads + size, between], np.r_[tails, tails + size, between + size]
    return ItemGraph.from_pairs(
        heads.astype(np.int32), tails.astype(np.int32), np.ones(len(heads)), 2 * size
    )


def test_a_partition_cuts_the_bridge_alone() -> None:
    parts = scale.partition(two_cliques(6, 1), 2)
    assert len(set(parts[:6])) == len(set(parts[6:])) == 1
    assert parts[0] != parts[6]


def test_rows_are_counted_for_each_rank() -> None:
    """Four walks of two items; -1 is padding."""
    walks, parts = np.array([[0, 1], [3, 2], [1, -1], [2, 0]]), np.array([0, 0, 1, 1])
    assert scale.count_rows(walks, 4, parts, 2, 1).tolist() == [2, 4, 0]
    assert scale.count_rows(walks, 4, parts, 2, 2).tolist() == [2.5, 4, 1]  # {0, 1} and {0, 2, 3}
    assert scale.count_rows(walks, 4, None, 2, 2).tolist() == [2.5, 4, 1]  # {0, 1} and {0, 2, 3}


def test_bytes_by_hand() -> None:
    """Four ranks touch 3 rows each, 5 together, in 10 places; a row has 100 bytes."""
    assert scale.gathered_per_item(3, 10, 4, 100) == pytest.approx(2 * 100 * 3 * 3 / 10)
    assert scale.sent_per_item(3, 5, 10, 4, 100) == pytest.approx(2 * 100 * (3 + 5) * 0.75 / 10)
    assert scale.row_bytes(128, in_half=False) == 516
    assert scale.mask_per_item(17, 2, 10, 4) == pytest.approx(2 * 3 * 3 * 2 / 10)


def test_the_interval_of_young_loses_least() -> None:
    interval, lost = scale.young(50.0, 10_000.0)
    assert interval == pytest.approx(1000)
    assert lost == pytest.approx(0.1)
    for other in (0.8 * interval, 1.2 * interval):
        assert 50 / other + other / 20_000 > lost


def test_one_rank_waits_for_nobody() -> None:
    rows = scale.stragglers([1, 8], [1, 16], 0.2)
    alone, many = ([float(x) for x in row[1:]] for row in rows[1:])
    assert alone[:2] == pytest.approx([1, 1], abs=0.05)
    assert many[0] < many[1] < 1
    assert many[2] == pytest.approx(1 / 1.1, abs=0.05)


def test_the_command_prints_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    scale.main(["--items", "300", "--ranks", "2"])
    text = capsys.readouterr().out
    for title in ("Rows between two exchanges", "ranks train", "Checkpoints", "One machine"):
        assert title in text
    assert math.isfinite(scale.write_speed(1 << 24))

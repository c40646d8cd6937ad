from collections import Counter

import numpy as np
import polars as pl
import pytest

from recsys_lab.readers import edge_order
from recsys_lab.readers.edge_order import ordered_edges
from recsys_lab.readers.ids import IdCodes, rank_ids

NAMES = ("bought", "viewed")


def batches(
    rng: np.random.Generator, codes: IdCodes, count: int
) -> tuple[list[tuple], list[pl.DataFrame]]:
    """Edges as tuples, and as tables of up to ten rows; those of every second have no type."""
    lines, tables = [], []
    for number, first in enumerate(range(0, count, 10)):
        size = min(10, count - first)
        ends = rng.integers(0, 9, (size, 2))
        ends[:, 1] += ends[:, 0] == ends[:, 1]
        raw = [[f"i{9 - end}" for end in column] for column in ends.T]
        values = rng.integers(1, 4, size) / 2
        types = [None] * size if number % 2 else [NAMES[k] for k in rng.integers(0, 2, size)]
        lines += zip(*raw, values.tolist(), types, strict=True)
        kind = pl.Series(types, dtype=pl.Null if number % 2 else pl.String)
        source, target = (codes.encode(column) for column in raw)
        tables.append(
            pl.DataFrame({"source": source, "target": target, "value": values, "type": kind})
        )
    return lines, tables


def _without_direction(line: tuple) -> tuple:
    return (*sorted(line[:2]), *line[2:])


@pytest.mark.parametrize("undirected", [False, True])
@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_edges_are_those_of_a_plain_sort(
    size: int, once: bool, undirected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_order, "_RANGE", size)
    rng = np.random.default_rng(size + once)
    for count in (1, 2, 60, 300):
        codes = IdCodes()
        lines, tables = batches(rng, codes, count)
        ranks = rank_ids(codes, np.ones(len(codes), bool))
        rows, repeated = ordered_edges(
            tables, ranks, NAMES, undirected=undirected, once=once, require=int
        )
        ids = ranks.ids.to_list()
        found = [
            (ids[a], ids[b], value, None if kind < 0 else NAMES[kind])
            for a, b, value, kind in zip(*(column.tolist() for column in rows), strict=True)
        ]
        distinct = {_without_direction(line) if undirected else line for line in lines}
        assert repeated == len(lines) - len(distinct)
        if not once:
            assert Counter(found) == Counter(lines)
        elif undirected:
            assert Counter(map(_without_direction, found)) == Counter(distinct)
        else:
            assert Counter(found) == Counter(set(lines))
        for pair in {_without_direction(line)[:2] for line in lines}:
            of_pair = [line for line in found if _without_direction(line)[:2] == pair]
            assert of_pair == sorted(of_pair, key=lambda line: (*line[:3], line[3] or ""))
        assert not tables


def test_three_edges_by_hand() -> None:
    codes = IdCodes()
    source, target = codes.encode(["c", "a", "b", "a"]), codes.encode(["a", "b", "a", "b"])
    table = pl.DataFrame(
        {"source": source, "target": target, "value": [2.0, 1.0, 1.0, 1.0], "type": [None] * 4}
    )
    ranks = rank_ids(codes, np.ones(3, bool))
    rows, repeated = ordered_edges([table], ranks, (), undirected=True, once=True, require=int)
    assert repeated == 2  # a b again, and b a
    assert [column.tolist() for column in rows] == [[0, 2], [1, 0], [1.0, 2.0], [-1, -1]]


def test_an_item_in_more_edges_than_a_range_holds_needs_more_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edge_order, "_RANGE", 10)
    needed: list[int] = []
    for is_star in (False, True):
        codes = IdCodes()
        source = codes.encode(["a" if is_star else f"a{k:02}" for k in range(50)])
        target = codes.encode([f"b{k}" for k in range(50)])
        table = pl.DataFrame({"source": source, "target": target, "value": 1.0, "type": None})
        ranks = rank_ids(codes, np.ones(len(codes), bool))
        ordered_edges([table], ranks, (), undirected=False, once=True, require=needed.append)
    assert needed[1] - needed[0] == 40 * edge_order._BYTES_WITHIN

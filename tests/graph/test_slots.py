import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.slots import MAX_ITEMS, pack_graph, slot_item, slot_place


def implied(graph: ItemGraph, coin_bits: int) -> np.ndarray:
    """The transition probabilities (N, N) that the slots draw from, worked out exactly."""
    rows, slots, bits = (np.asarray(part).astype(object) for part in graph.tables)
    mask = (1 << int(bits)) - 1
    probabilities = np.zeros((len(graph), len(graph)))
    for item, row in enumerate(rows):
        start, degree = row >> 24, row & 0xFFFFFF
        for slot in slots[start : start + degree]:
            share = (slot >> 2 * int(bits)) / 2**coin_bits
            probabilities[item, slot & mask] += share / degree
            probabilities[item, slot >> int(bits) & mask] += (1 - share) / degree
    return probabilities


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(1, 200), st.integers(0, 2**32))
def test_slots_draw_from_the_weights(num_items: int, num_pairs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, num_items, (num_pairs, 2))
    ends = np.unique(np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1), axis=0)
    weights = 10.0 ** rng.uniform(-3, 3, len(ends))
    graph = ItemGraph.from_pairs(ends[:, 0], ends[:, 1], weights, num_items)
    matrix = graph.adjacency.toarray().astype(np.float64)
    strength = matrix.sum(axis=1, keepdims=True)
    expected = np.divide(matrix, strength, out=np.zeros_like(matrix), where=strength > 0)
    drawn = implied(graph, 24)
    np.testing.assert_allclose(drawn, expected, atol=3e-7)
    assert ((drawn > 0) == (matrix > 0)).all()


@pytest.mark.parametrize("num_items", [3, 1 << 20, 1 << 21, 1 << 22])
def test_a_draw_by_hand(num_items: int) -> None:
    # Weights 1 and 3: slot 0 holds item 0 in its lower half and item 2 in its upper half.
    graph = ItemGraph.from_pairs(
        np.array([0, 1]), np.array([1, 2]), np.array([1.0, 3.0]), num_items
    )
    rows, slots, bits = graph.tables
    items = []
    for half in (0, 1):
        for coin in range(0, 1 << 24, 1 << 14):
            random = np.uint64(half << 63 | coin)
            items.append(slot_item(slots[slot_place(rows[1], random)], random, bits))
    assert np.bincount(items).tolist() == [512, 0, 1536]
    last = np.uint64(2**64 - 1)
    assert slot_item(slots[slot_place(rows[1], last)], last, bits) == 2


def test_more_items_than_a_slot_can_name_are_refused() -> None:
    indptr = np.zeros(MAX_ITEMS + 2, np.int64)
    with pytest.raises(ValueError, match="at most 16,777,216 items, got 16,777,217"):
        pack_graph(indptr, np.empty(0, np.int32), np.empty(0, np.float32))

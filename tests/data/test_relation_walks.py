from typing import Any

import numpy as np
import pytest

from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.data.relation_walks import RelationDataModule, take_turns
from recsys_lab.data.sequences import Walks
from recsys_lab.graph.graph import ItemGraph

BOUGHT, VIEWED = ["also_bought", "bought_together"], ["also_viewed"]
WEIGHTS = {"also_bought": 1.0, "bought_together": 1.2, "also_viewed": 0.5}
OPTIONS: dict[str, Any] = {
    "window": 2, "shrink_windows": True, "num_negatives": 5, "negative_exponent": 0.5,
    "subsample_threshold": 0.0, "walks_per_batch": 300, "walks_per_group": 6, "num_workers": 0,
}  # fmt: skip


def module_of(
    planted: PreparedData, relations: list[list[str]], **options: float
) -> RelationDataModule:
    train = planted.split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    return RelationDataModule(
        Walks(graph, 3, 6, seed=0, weight_exponent=1.5),
        planted.split,
        lambda names: planted.relations.shares(names, train, WEIGHTS),
        0,
        relations=relations,
        **OPTIONS | options,
    )


def test_parts_take_turns_spread_over_the_epoch() -> None:
    order = take_turns(np.array([4, 2]))  # at 1/8, 3/8, 5/8, 7/8 and at 1/4, 3/4
    assert order.tolist() == [[0, 0], [1, 0], [0, 1], [0, 2], [1, 1], [0, 3]]


def test_every_step_of_a_batch_is_a_pair_of_its_relations(planted: PreparedData) -> None:
    module = module_of(planted, [BOUGHT, VIEWED])
    pairs, num_items = planted.relations.pairs, len(planted.catalog)
    masks, names = planted.relations.masks, planted.relations.names
    met = []
    for number in range(module.num_batches):
        batch = module.draw(0, number)
        graph = batch.first_context // num_items
        group = (BOUGHT, VIEWED)[graph]
        listed = {
            (head, tail)
            for head, tail, mask in zip(
                pairs.heads.tolist(), pairs.tails.tolist(), masks.tolist(), strict=True
            )
            if any(mask >> names.index(name) & 1 for name in group)
        }
        walks = batch.items.numpy().reshape(-1, 6)
        steps = np.sort(np.stack([walks[:, :-1].ravel(), walks[:, 1:].ravel()], 1), axis=1)
        assert {tuple(step) for step in steps[steps[:, 0] >= 0].tolist()} <= listed
        met.append(batch.first_context)
    assert sorted(set(met)) == [0, num_items]
    assert [len(part.source.graph) for part in module.parts] == [num_items] * 2  # type: ignore[attr-defined]


def test_pairs_of_all_relations_make_the_whole_graph(planted: PreparedData) -> None:
    module = module_of(planted, [list(planted.relations.names)])
    train = planted.split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    own = module.parts[0].source.graph  # type: ignore[attr-defined]
    np.testing.assert_array_equal(own.indices, graph.indices)
    np.testing.assert_array_equal(own.weights, graph.raised(1.5).weights)
    assert module.frequencies.sum() == pytest.approx(1)


def test_names_of_no_relation_are_refused(planted: PreparedData) -> None:
    with pytest.raises(
        ValueError, match=r"there is no also_sold; those of the pairs are also_bought"
    ):
        module_of(planted, [BOUGHT, ["also_sold"]])


def test_frequent_items_are_dropped_in_every_graph(planted: PreparedData) -> None:
    whole, dropped = (
        module_of(planted, [BOUGHT, VIEWED], subsample_threshold=t) for t in (0.0, 1e-4)
    )
    for number in range(2):  # a batch of each graph
        kept = dropped.draw(0, number).num_trained / whole.draw(0, number).num_trained
        assert 0.05 < kept < 0.95


def test_a_relation_without_training_pairs_is_refused(planted: PreparedData) -> None:
    train = planted.split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    with pytest.raises(ValueError, match="no training pair is listed under also_viewed"):
        RelationDataModule(
            Walks(graph, 3, 6, seed=0), planted.split, lambda names: np.zeros(len(train)), 0,
            relations=[VIEWED], **OPTIONS,
        )  # fmt: skip


def test_pairs_of_no_group_are_told(
    planted: PreparedData, caplog: pytest.LogCaptureFixture
) -> None:
    module_of(planted, [list(planted.relations.names)])
    assert not caplog.messages
    module_of(planted, [BOUGHT])
    train, names = planted.split.train, planted.relations.names
    bits = sum(1 << names.index(name) for name in BOUGHT)
    left = int((planted.relations.of(train) & bits == 0).sum())
    assert f"{left:,} of {len(train):,} training pairs are listed under none" in caplog.text

"""Labels as nodes: trained on seen items alone, ranked for held-out ones, shown at the end."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import recsys_lab
from recsys_lab.catalog.catalog import Field, ItemCatalog
from recsys_lab.catalog.nodes import NodeOptions, find_nodes
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.catalog.split import Split
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.data.interactions import InteractionDataModule
from recsys_lab.report.summary import print_summary
from recsys_lab.run.checkpoints import load_checkpoint
from recsys_lab.run.event_run_data import run_data
from recsys_lab.run.fitted import Fitted
from recsys_lab.run.label_test import label_targets
from recsys_lab.run.parts import Experiment
from recsys_lab.run.run_data import RunData

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory")
WORDS = (
    "experiment=labels", "nodes.labels=[brand]", "model.fields=[category,title]",
    "catalog.num_items=1500", "model.embedding_dim=16", "trainer.max_epochs=4",
    "data.batch_size=256", "data.num_negatives=20", "evaluation.replicates=20",
    "trainer.enable_progress_bar=false", "num_threads=1", "logger=csv",
)  # fmt: skip


class _OtherBrands(ItemCatalog):
    """The catalogue with other brands of some items."""

    def __init__(self, catalog: ItemCatalog, changed: np.ndarray) -> None:
        super().__init__(catalog.items)
        self._changed = changed

    def field(self, name: str, **options: Any) -> Field:
        found = super().field(name, **options)
        if name != "brand":
            return found
        owner = np.repeat(np.arange(len(self)), np.diff(found.offsets))
        changed = np.isin(owner, self._changed)
        codes = np.where(changed, (found.codes + 1) % found.cardinality, found.codes)
        return Field(name, found.labels, found.offsets, codes.astype(np.int32))


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    folder = tmp_path_factory.mktemp("prepared")
    return recsys_lab.configure(*WORDS, f"prepared_dir={folder}")


@pytest.fixture(scope="module")
def prepared(experiment: Experiment) -> PreparedData:
    return recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)


@pytest.fixture(scope="module")
def fitted(
    experiment: Experiment, prepared: PreparedData, tmp_path_factory: pytest.TempPathFactory
) -> Fitted:
    return recsys_lab.fit(prepared, experiment, tmp_path_factory.mktemp("run"))


def test_held_out_items_are_those_of_one_part_alone(fitted: Fitted) -> None:
    seen = fitted.prepared.split.seen
    (val,), (test,) = (label_targets(fitted.data, part) for part in ("val", "test"))
    assert not seen[val.items].any()
    assert not seen[test.items].any()
    assert not set(val.items) & set(test.items)
    brands = fitted.prepared.catalog.items["brand"].to_list()
    labels = fitted.prepared.catalog.field("brand").labels
    for item, row in zip(test.items, test.truth, strict=True):
        assert [labels[code] for code in row.indices] == [brands[item]]
    np.testing.assert_array_equal(
        np.diff(test.trained.indptr) > 0, seen & np.array([x is not None for x in brands])
    )


def test_labels_of_held_out_items_change_nothing_in_training(
    fitted: Fitted, experiment: Experiment, tmp_path: Path
) -> None:
    """The leak that would make the test of labels worthless."""
    held = np.flatnonzero(~fitted.prepared.split.seen)
    other = _OtherBrands(fitted.prepared.catalog, held)
    changed = PreparedData(**{**vars(fitted.prepared), "catalog": other})
    recsys_lab.fit(changed, experiment, tmp_path)
    ours, theirs = (
        load_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]
        for folder in (fitted.folder, tmp_path)
    )
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    seen = np.flatnonzero(fitted.prepared.split.seen)
    changed = PreparedData(
        **{**vars(fitted.prepared), "catalog": _OtherBrands(fitted.prepared.catalog, seen[:5])}
    )
    assert batches(changed) != batches(fitted.prepared)


def batches(prepared: PreparedData) -> list[tuple[int, int]]:
    """All pairs of an epoch, as items with their labels."""
    nodes = find_nodes(prepared.split, prepared.catalog, NodeOptions(labels=["brand"]))
    module = InteractionDataModule(
        prepared.split, nodes, prepared.catalog, seed=0, pairs=["item_label"], batch_size=300,
        num_negatives=2, negative_exponent=0.0, use_weights=True, num_workers=0,
    )  # fmt: skip
    drawn = [module.draw(0, number) for number in range(module.num_batches)]
    for batch in drawn:  # negatives are labels
        assert (batch.negatives >= nodes.num_items).all()
    return [
        pair for b in drawn for pair in zip(b.centers.tolist(), b.contexts.tolist(), strict=True)
    ]


def test_pairs_of_items_stand_beside_those_of_labels(prepared: PreparedData) -> None:
    nodes = find_nodes(prepared.split, prepared.catalog, NodeOptions(labels=["brand"]))
    module = InteractionDataModule(
        prepared.split, nodes, prepared.catalog, seed=0, pairs=["item_label", "item_item"],
        batch_size=300, num_negatives=2, negative_exponent=0.0, use_weights=True, num_workers=0,
    )  # fmt: skip
    items, turned = set(), 0
    for number in range(module.num_batches):
        batch = module.draw(0, number)
        is_item = batch.contexts < nodes.num_items
        assert ((batch.negatives < nodes.num_items) == is_item[:, None]).all()
        ends = torch.stack([batch.centers[is_item], batch.contexts[is_item]], dim=1)
        for head, tail in ends.tolist():
            items.add((min(head, tail), max(head, tail)))
            turned += head > tail
    assert items == set(map(tuple, prepared.split.train.ids.tolist()))
    assert 0.4 < turned / len(items) < 0.6


def test_the_model_finds_the_brand_in_the_title(
    fitted: Fitted, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = fitted.measure()
    model, frequent = (metrics[f"labels/brand/{name}/mrr"] for name in ("model", "most_frequent"))
    assert model > 2 * frequent
    assert metrics["labels/brand/difference/most_frequent/mrr/low"] > 0
    best = max(row["val/label_mrr/brand"] or 0 for row in fitted.curve)
    assert fitted.best == pytest.approx(best)
    print_summary(metrics)
    shown = capsys.readouterr().out
    assert f"labels of {metrics['labels/brand/count/items']} held-out items" in shown
    for row in ("this model", "most frequent", "nearest titles", "nearest items"):
        assert row in shown.split("held-out items")[1]
    assert f"{model:.4f}" in shown


def test_a_split_without_held_out_items_ranks_none(
    experiment: Experiment, prepared: PreparedData
) -> None:
    every = Split(prepared.split.known, prepared.split.val, prepared.split.test)
    nodes = find_nodes(every, prepared.catalog, experiment.nodes)
    assert label_targets(RunData(every, prepared.catalog, nodes), "test") == []


def test_items_that_a_log_has_late_are_held_out(tmp_path: Path) -> None:
    """Users u0 to u9 take a, b and c; new comes last of u0, later of u1, each of its category."""
    rows = [(f"u{user}", item, 10 * place + user) for user in range(10)
            for place, item in enumerate("abcab")]  # fmt: skip
    rows += [("u0", "early", 800), ("u1", "new", 900), ("u2", "a", 905), ("u3", "b", 910)]
    pl.DataFrame(rows, ["user", "item", "time"], orient="row").write_csv(tmp_path / "log.csv")
    items = {"item": ["a", "b", "c", "early", "new"], "category": ["x", "y", "x", "y", "x"]}
    pl.DataFrame(items).write_csv(tmp_path / "items.csv")
    experiment = recsys_lab.configure(
        "catalog=events", f"catalog.path={tmp_path / 'log.csv'}", "nodes.labels=[category]",
        f"catalog.items_path={tmp_path / 'items.csv'}", "split=leave_one_out", "model=starspace",
        "data=interactions", "data.pairs=[user_item,item_label]", "nodes.users=true",
        "model.fields=[]", "split.filter_history=false", f"prepared_dir={tmp_path}",
    )  # fmt: skip
    prepared = recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)
    nodes = find_nodes(prepared.split, prepared.catalog, experiment.nodes)
    data = run_data(prepared.split, prepared.catalog, experiment.history, nodes=nodes)
    (found,) = label_targets(data, "test")
    names = prepared.catalog.raw_ids
    assert [names[int(item)] for item in found.items] == ["early", "new"]
    labels = nodes.group("category").names
    assert [labels[int(code)] for code in found.truth.indices] == ["y", "x"]
    assert found.rows == nodes.group("category").rows == slice(15, 17)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ["model.fields=[brand,title]"],
            "model.fields has brand, which holds the labels",
        ),
        (["nodes.labels=[category_0]"], "leave category out of model.fields"),
        (["nodes.labels=[category]", "model.fields=[category_1]"], "leave category_1 out"),
        (["data.pairs=[item_item]"], "data.pairs=[item_item] trains no labels"),
    ],
)
def test_labels_that_are_told_or_not_trained_are_refused(words: list[str], complaint: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        recsys_lab.configure(*WORDS, *words)
    assert complaint in str(error.value)


def test_a_stand_in_by_the_label_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"model\.cold_field has brand"):
        recsys_lab.configure(
            "model=skipgram", "model.cold_field=brand", "nodes.labels=[brand]", "data=interactions",
            "data.pairs=[item_label]",
        )  # fmt: skip

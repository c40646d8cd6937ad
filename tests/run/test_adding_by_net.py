"""Items that come after a training of PinSage, against the net that has them in its graph."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import recsys_lab
from recsys_lab.data.batch import FieldCodes, Items
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.run.add import add
from recsys_lab.run.run_data import known_items, neighbours_in
from recsys_lab.vectors.embeddings import Embeddings
from tests.run.test_add_events import trained
from tests.run.test_event_runs import small_log, write_events

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory")
NUM_ITEMS = 41  # the last is known by its category alone
LATER = [("a", "i00"), ("b", "i01"), ("c", "i03"), ("d", "i22")]  # each with the item "later"


def write_items(path: Path, groups: dict[str, int]) -> Path:
    rows = "".join(f"{item},group-{group}\n" for item, group in groups.items())
    path.write_text(f"item,category\n{rows}")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> recsys_lab.Fitted:
    folder = tmp_path_factory.mktemp("pinsage")
    groups = {f"i{k:02d}": k // 10 for k in range(40)} | {"j": 0}
    words = (
        f"catalog.path={write_events(folder / 'log.csv', small_log())}",
        f"catalog.items_path={write_items(folder / 'items.csv', groups)}",
        "split=leave_one_out", "catalog.outside_items=keep", "data.walks_per_batch=120",
        "model=pinsage", "model.layers=2", "model.num_neighbours=6", "model.fields=[category]",
        "curve.every_n_batches=20", "users=false",
    )  # fmt: skip
    return trained(folder, *words)


@pytest.fixture(scope="module")
def added(run: recsys_lab.Fitted) -> Embeddings:
    """With "later", which four sessions pair with an item of the run, and "lonely", which none."""
    folder = run.folder.parent
    rows = "".join(f"{user},{item},0\n{user},later,1\n" for user, item in LATER)
    log = folder / "later.csv"
    log.write_text(f"user,item,time\n{rows}")
    table = write_items(folder / "more.csv", {"later": 0, "lonely": 0})
    return Embeddings.load(add(run.folder, log, items=table).folder)


def with_later(run: recsys_lab.Fitted, *, own_rows: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Center and context vectors of "later" by a net of the run's weights whose graph has it.

    Args:
        run: of the items before.
        own_rows: whether the neighbours of the others stay as they were.
    """
    before, train = known_items(run.prepared), run.prepared.split.train
    others = run.prepared.catalog.index([item for _, item in LATER])
    graph = ItemGraph.from_pairs(
        np.append(train.heads, others), np.append(train.tails, [NUM_ITEMS] * len(others)),
        np.append(train.weights, [1.0] * len(others)), NUM_ITEMS + 1,
    )  # fmt: skip
    neighbours, visited = neighbours_in(lambda: graph)

    def field(name: str) -> FieldCodes:
        found = before.field(name)
        offsets = torch.cat([found.offsets, found.offsets[-1:] + 1])
        return FieldCodes(offsets, torch.cat([found.codes, torch.tensor([0])]), found.cardinality)

    def visits(*options: int):
        every = visited(*options)
        if own_rows:
            old = before.visited(*options)
            for new_part, old_part in zip(every, old, strict=True):
                new_part[:NUM_ITEMS] = old_part
        return every

    degrees = torch.cat([before.degrees, torch.tensor([0])])  # without a vector of its own
    items = Items(degrees, field, pl.Series(["x"] * (NUM_ITEMS + 1)), neighbours, visits)
    net = run.experiment.model(items=items)
    assert isinstance(net, SkipGram)
    state = run.task.net.state_dict()
    for name, values in net.state_dict().items():
        old = state[name]
        if old.shape != values.shape:  # ids, of which there is one more, then values
            old = torch.cat([old[:NUM_ITEMS], torch.zeros(1, old.shape[1]), old[NUM_ITEMS:]])
        values.copy_(old)
    last = torch.tensor([NUM_ITEMS])
    return net.centers.item_vectors(last)[0], net.contexts.item_vectors(last)[0]


def test_a_later_item_has_the_vectors_of_the_net_that_has_it_in_its_graph(
    run: recsys_lab.Fitted, added: Embeddings
) -> None:
    assert added.items["added"].to_list()[NUM_ITEMS:] == ["pairs", "side information"]
    row = int(added.index(["later"])[0])
    tables = added.score_tables
    for found, expected in zip(
        (tables.queries[row], tables.keys[row]), with_later(run, own_rows=True), strict=True
    ):
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-6)
    for found, expected in zip(
        (tables.queries[row], tables.keys[row]), with_later(run, own_rows=False), strict=True
    ):  # the neighbours' own neighbours are others then
        assert np.corrcoef(found, expected.numpy())[0, 1] > 0.9


def test_a_later_item_without_pairs_is_as_a_cold_item_of_the_run(added: Embeddings) -> None:
    cold, lonely = added.index(["j", "lonely"])
    assert added.scored[cold]
    np.testing.assert_allclose(added.queries[lonely], added.queries[cold], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(added.keys[lonely], added.keys[cold], rtol=1e-5, atol=1e-6)


def test_items_are_added_to_added_ones(run: recsys_lab.Fitted, added: Embeddings) -> None:
    """Walks from the next item pass "later"; neighbours are items of the run alone."""
    log = run.folder.parent / "next.csv"
    log.write_text("user,item,time\na,later,0\na,next,1\n")
    found = Embeddings.load(add(added.folder, log).folder)
    assert found.items["added"].to_list()[NUM_ITEMS:] == ["pairs", "side information", "pairs"]
    scores = found.keys[:40, :-2] @ found.query(NUM_ITEMS + 2)[0, :-2]
    assert scores[:10].mean() > scores[10:20].mean()

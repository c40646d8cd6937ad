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
from recsys_lab.run.fitted import Fitted
from recsys_lab.run.run_data import known_items, neighbours_in, node_graph
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.score_form import unfold
from tests.run.test_add_events import keep_configuration, trained
from tests.run.test_event_runs import WORDS, small_log, write_events
from tests.run.test_node_embeddings import USERS, untrained

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
        "model=pinsage", "model.num_neighbours=[6,4]", "model.fields=[category]",
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


# -- users and items -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fitted, Embeddings, Embeddings]:
    """An untrained model of users and items; "zz" comes by user-002 and by a new user."""
    folder = tmp_path_factory.mktemp("both")
    words = (
        "data=interactions", "model=pinsage", "model.num_neighbours=[30,30]", "nodes.labels=[]",
        "model.walks_per_item=2000", "history.vector=user",
    )  # fmt: skip
    base = [word for word in WORDS if not word.startswith("data")]
    fitted, before = untrained(folder, *words, base=base)
    keep_configuration(fitted)
    checkpoint = {"state_dict": fitted.task.state_dict(), "global_step": 0, "epoch": 0}
    fitted.task.on_save_checkpoint(checkpoint)
    (folder / "run" / "checkpoints").mkdir()
    torch.save(checkpoint, folder / "run" / "checkpoints" / "best.ckpt")
    log = folder / "later.csv"
    log.write_text("user,item,time\nuser-002,zz,1\nnew,i00,2\nnew,zz,3\nnew,i00,4\n")
    return fitted, before, Embeddings.load(add(folder / "run", log).folder)


def visited_by_hand(fitted: Fitted, before: Embeddings, node: int) -> tuple[torch.Tensor, ...]:
    """Nodes that walks of two steps from one that came later visit, and their chances."""
    size = len(fitted.data.nodes)
    zz, new = size, size + 1
    user, item = fitted.data.nodes.group("user").first + 2, int(before.index(["i00"])[0])
    weights = np.zeros((size + 2, size + 2))
    weights[:size, :size] = node_graph(fitted.prepared.split, fitted.data.nodes).adjacency.toarray()
    for one, other, weight in ((user, zz, 1), (item, new, 2), (zz, new, 1)):
        weights[one, other] = weights[other, one] = weight
    step = weights / weights.sum(1, keepdims=True).clip(1e-9)
    visits = (step[node] + (step @ step)[node])[:size]
    order = np.argsort(-visits)[: int((visits > 0).sum())]
    shares = torch.from_numpy(visits[order]).float()[None]
    return torch.from_numpy(order)[None], shares


def test_later_users_and_items_are_computed_from_the_events_of_both(
    both: tuple[Fitted, Embeddings, Embeddings],
) -> None:
    """The item by the first projection, the user by the second; its bias ranks nothing."""
    fitted, before, found = both
    net, size = fitted.task.net, len(fitted.data.nodes)
    assert isinstance(net, SkipGram)
    row, tables = int(found.index(["zz"])[0]), found.score_tables
    user = found.users.row("new")
    own = unfold(found.users.keys[user : user + 1], both_ways=True, biased=True)
    for encoder, item_vector, user_vector in (
        (net.centers, tables.queries[row], own.queries[0]),
        (net.contexts, tables.keys[row], own.keys[0]),
    ):
        for group, vector in ((0, item_vector), (1, user_vector)):
            near = visited_by_hand(fitted, before, size + group)
            expected = encoder.new_vectors(torch.zeros(1, 8), *near, group)[0].numpy()  # type: ignore[operator]
            other = encoder.new_vectors(torch.zeros(1, 8), *near, 1 - group)[0].numpy()  # type: ignore[operator]
            error = np.linalg.norm(vector - expected) / np.linalg.norm(expected)
            assert error < 0.1 < np.linalg.norm(other - expected) / np.linalg.norm(expected)
    query = unfold(found.users.query("new")[None], both_ways=True, biased=True)
    np.testing.assert_allclose(2 * query.queries, own.keys, rtol=1e-5)  # halves, the other way
    assert found.users.table["own"].to_list()[-1]


def test_known_users_keep_their_vectors_and_are_near_later_items(
    both: tuple[Fitted, Embeddings, Embeddings],
) -> None:
    _, before, found = both
    np.testing.assert_array_equal(found.users.queries[:-1], before.users.queries)
    assert found.ids[found.users.history("user-002")].to_list()[-1] == "zz"
    assert found.nearest("user", 99, item="zz").height == USERS + 1


def test_users_alone_are_added_by_the_net(
    both: tuple[Fitted, Embeddings, Embeddings], tmp_path: Path
) -> None:
    """Two users of the same two items have nearly the same vector."""
    fitted, _, _ = both
    log = tmp_path / "users.csv"
    log.write_text("user,item,time\none,i00,1\none,i01,2\ntwo,i00,1\ntwo,i01,2\n")
    found = Embeddings.load(add(fitted.folder, log, tmp_path / "out").folder)
    one, two = found.users.query("one"), found.users.query("two")
    assert np.corrcoef(one, two)[0, 1] > 0.95  # walks differ
    assert found.users.table["own"].to_list()[-2:] == [True, True]

"""The lists and where they agree, against brute force on the files of the runs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_lab.catalog.pairs import build_pairs
from recsys_lab.readers.records import ITEM_SCHEMA
from recsys_lab.serve.exhibits import Exhibits, UnknownError
from recsys_lab.serve.json_form import neighbours_of
from recsys_lab.serve.side_by_side import NeighbourList, neighbours, side_by_side
from recsys_lab.serve.view import Question
from recsys_lab.vectors.added_folder import write_added
from recsys_lab.vectors.adding import add_items
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.new_items import NewItems
from recsys_lab.vectors.store import TEXT_COLUMNS
from tests.serve.served_cases import ASKED, IDS, NUM_ITEMS, UNSCORED, write_served_run
from tests.vectors.stored import store_lists


def adjacency(run: Path) -> np.ndarray:
    pairs = pl.read_parquet(run / "embeddings" / "pairs.parquet")
    matrix = np.zeros((NUM_ITEMS, NUM_ITEMS))
    matrix[pairs["head"], pairs["tail"]] = pairs["weight"]
    return matrix + matrix.T


def model_scores(run: Path) -> np.ndarray:
    table = pl.read_parquet(run / "embeddings" / "items.parquet")
    scores = table["query"].to_numpy() @ table["key"].to_numpy().T
    scores[:, ~table["scored"].to_numpy()] = np.nan
    return scores


def adamic_adar(run: Path) -> np.ndarray:
    linked = adjacency(run) > 0
    degree = linked.sum(0)
    value = np.where(degree > 1, 1 / np.log(np.maximum(degree, 2)), 0)
    return np.asarray(linked * value) @ linked.T


def walk_proximity(run: Path, growth: float = 2.0, exponent: float = 0.7) -> np.ndarray:
    """With the usual parameters, where the run did not choose any."""
    weights = adjacency(run)
    strength = weights.sum(1)
    mean = strength[strength > 0].mean()
    strength[strength == 0] = np.inf
    hub = np.diag((strength / mean) ** -0.75 / mean)
    two = weights @ hub @ weights
    meet = weights + growth * two + growth**2 * two @ hub @ weights
    return np.asarray(meet * (strength[:, None] ** -exponent + strength**-exponent))


def best(scores: np.ndarray, row: int, k: int, left_out: np.ndarray) -> np.ndarray:
    values = np.delete(scores[row], [row, *left_out])
    values = values[~np.isnan(values) & (values != 0)]
    return np.sort(values)[::-1][:k]


def ids_of(found: NeighbourList) -> list[str]:
    return [entry.shown.item for entry in found.entries]


@pytest.mark.parametrize("not_known", [False, True])
@pytest.mark.parametrize(
    ("place", "run", "scores"),
    [(0, 0, model_scores), (1, 1, model_scores), (2, 0, adamic_adar), (3, 0, walk_proximity)],
)
def test_a_list_holds_the_items_with_the_best_scores(
    exhibits: Exhibits,
    runs: list[Path],
    place: int,
    run: int,
    scores: Callable[[Path], np.ndarray],
    not_known: bool,
) -> None:
    for row in (IDS.index(ASKED), 7, 11):
        found = side_by_side(exhibits.runs, exhibits.sources, IDS[row], 8, not_known).lists[place]
        known = np.flatnonzero(adjacency(runs[run])[row]) if not_known else np.empty(0, int)
        values = scores(runs[run])
        others = [IDS.index(item) for item in ids_of(found)]
        assert not {*others} & {row, *known}
        assert values[row, others] == pytest.approx(best(values, row, 8, known), rel=1e-4)
        assert [entry.score for entry in found.entries] == pytest.approx(values[row, others], 1e-4)
        assert [entry.rank for entry in found.entries] == list(range(1, len(others) + 1))
        assert len({*others}) == len(others) > 4


def test_a_baseline_has_the_parameters_that_the_run_chose(tmp_path: Path) -> None:
    folder, row = write_served_run(tmp_path / "run", 3), IDS.index(ASKED)
    path = folder / "metrics.json"
    own = {"growth": 0.2, "exponent": 0.1}
    chosen = {f"parameters/walk_proximity/{name}": value for name, value in own.items()}
    path.write_text(json.dumps(json.loads(path.read_text()) | chosen))
    exhibits = Exhibits.open([folder])
    values = walk_proximity(folder, **own)[row]
    table = exhibits.of_run(0, "walk_proximity").nearest(row, 8, False)
    others = [IDS.index(item) for item in table["item"]]
    assert table["score"].to_list() == pytest.approx(values[others], rel=1e-4)
    assert values[others].min() >= np.sort(np.delete(values, [row, *others]))[-1]


def test_agreement_is_what_the_lists_have_in_common(exhibits: Exhibits) -> None:
    found = side_by_side(exhibits.runs, exhibits.sources, ASKED, 10, False)
    lists = {one.number: ids_of(one) for one in found.lists}
    assert list(lists) == [1, 2, 3, 4]
    for one in found.lists:
        others = {n: len({*lists[one.number]} & {*lists[n]}) for n in lists if n != one.number}
        assert one.common == others
        for entry in one.entries:
            item = entry.shown.item
            places = {n: ids.index(item) + 1 for n, ids in lists.items() if item in ids}
            assert entry.places == places
    held = [sum(item in ids for ids in lists.values()) for item in set().union(*lists.values())]
    assert found.agreement is not None
    assert found.agreement.in_all == held.count(4)
    assert found.agreement.in_one == held.count(1)
    assert found.agreement.in_several == held.count(2) + held.count(3)
    assert held.count(4) > 0 < held.count(1)  # the case shows both


def test_relations_are_those_of_training(exhibits: Exhibits, runs: list[Path]) -> None:
    names, seen = ["also_bought", "bought_together"], set()
    for row in range(4):
        linked = adjacency(runs[0])[row] > 0
        for found in side_by_side(exhibits.runs, exhibits.sources, IDS[row], 39, False).lists:
            for entry in found.entries:
                other = IDS.index(entry.shown.item)
                mask = (row + other) // 4 % 4
                wanted = [name for bit, name in enumerate(names) if mask >> bit & 1]
                assert entry.relations == (wanted if linked[other] else None)
                seen.add(str(entry.relations))
    assert len(seen) == 5


def test_an_item_without_score_is_answered_by_a_sentence(exhibits: Exhibits) -> None:
    found = side_by_side(exhibits.runs, exhibits.sources, UNSCORED, 10, False)
    assert [one.entries for one in found.lists] == [[]] * 4
    assert found.agreement is None
    assert found.lists[0].message.startswith("No score: no training pair holds it")
    assert found.lists[2].message == "No training pair holds this item."


def test_catalogues_may_overlap(runs: list[Path], tmp_path: Path) -> None:
    """Items are matched by their ids; titles come from where there are some."""
    fewer = [item for item in IDS if item != "item03"]
    other = write_served_run(tmp_path / "other", 3, fewer, titles=False, split="split-b")
    exhibits = Exhibits.open([other, runs[0]])
    assert [source.key for source in exhibits.sources] == [
        "0", "1", "adamic_adar-0", "walk_proximity-0", "adamic_adar-1", "walk_proximity-1",
    ]  # fmt: skip
    found = side_by_side(exhibits.runs, exhibits.sources, ASKED, 10, False)
    titles = {e.shown.item: e.shown.title for one in found.lists for e in one.entries}
    row = IDS.index("item20")
    assert found.lists[0].entries
    assert exhibits.item("item20").title == f"Blue lamp number {row}"
    assert all(titles[item] for item in titles if IDS.index(item) % 7)
    absent = side_by_side(exhibits.runs, exhibits.sources, "item03", 10, False)
    assert absent.lists[0].message == "The catalogue of this run does not hold the item."
    assert absent.lists[1].entries


def test_names_and_figures_come_from_the_run(exhibits: Exhibits) -> None:
    assert [source.name for source in exhibits.sources] == [
        "skipgram", "mf_pairs", "Adamic-Adar", "walk proximity",
    ]  # fmt: skip
    figures = [source.figures["NDCG@10"] for source in exhibits.sources]
    assert figures == pytest.approx([0.21, 0.22, 0.2, 0.15])


def test_a_file_of_vectors_is_served(runs: list[Path], tmp_path: Path) -> None:
    """Without titles, pairs and figures."""
    vectors = np.array([[1, 0], [3, 1], [0, 2]], np.float32)
    column = pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, 2))
    pl.DataFrame({"item": ["b", "a", "c"], "vector": column}).write_parquet(
        tmp_path / "mine.parquet"
    )
    exhibits = Exhibits.open([tmp_path / "mine.parquet", runs[0]])
    assert [source.key for source in exhibits.sources] == [
        "0",
        "1",
        "adamic_adar",
        "walk_proximity",
    ]
    assert (exhibits.runs[0].name, exhibits.runs[0].folder) == ("mine", "mine")
    assert exhibits.sources[0].figures == {"NDCG@10": None, "HR@10": None}
    found = side_by_side(exhibits.runs, exhibits.sources, "a", 5, True).lists
    assert ids_of(found[0]) == ["b", "c"]
    assert [entry.score for entry in found[0].entries] == [3.0, 2.0]
    assert found[1].message == "The catalogue of this run does not hold the item."


def test_an_item_alone_has_a_message_on_the_page_and_in_json(tmp_path: Path) -> None:
    column = pl.Series("vector", np.ones((1, 2), np.float32), dtype=pl.Array(pl.Float32, 2))
    pl.DataFrame({"item": ["alone"], "vector": column}).write_parquet(tmp_path / "one.parquet")
    exhibits = Exhibits.open([tmp_path / "one.parquet"])
    (shown,) = side_by_side(exhibits.runs, exhibits.sources, "alone", 5, False).lists
    answer = neighbours_of(exhibits, Question(item="alone"))
    assert (shown.entries, answer.neighbours) == ([], [])
    assert shown.message == answer.message == "There is no other item with a score."


@pytest.mark.parametrize("added_first", [False, True])
def test_added_items_are_served_beside_their_run(
    runs: list[Path], tmp_path: Path, added_first: bool
) -> None:
    """The folder has items that the run does not have, in rows beyond those of the run."""
    run = Embeddings.load(runs[0])
    schema = {name: ITEM_SCHEMA[name] for name in TEXT_COLUMNS}
    items = pl.DataFrame({"item": ["new"]}).with_columns(
        pl.lit(None, kind).alias(name) for name, kind in schema.items() if name != "item"
    )
    ends, weights = np.array([[0, NUM_ITEMS]], np.int32), np.ones(1, np.float32)
    pairs = build_pairs(ends[:, 0], ends[:, 1], weights, NUM_ITEMS + 1)
    new = NewItems(items, pairs, np.zeros(1, np.uint8), 1)
    write_added(run, new, add_items(run, new), tmp_path / "more")
    served = [tmp_path / "more", runs[0]] if added_first else [runs[0], tmp_path / "more"]
    exhibits = Exhibits.open(served)
    assert exhibits.item("new").num_pairs == 1
    lists = side_by_side(exhibits.runs, exhibits.sources, "new", 5, False).lists
    of_more, of_run = lists[:2] if added_first else lists[1::-1]
    assert of_run.message == "The catalogue of this run does not hold the item."
    wanted = Embeddings.load(tmp_path / "more").similar("new", 5)
    assert ids_of(of_more) == wanted["item"].to_list()


def test_unknown_lists_are_refused(exhibits: Exhibits) -> None:
    assert [s.key for s in exhibits.chosen(["adamic_adar", "0"])] == ["0", "adamic_adar"]
    with pytest.raises(UnknownError, match="There is no list '9'; there are 0, 1, adamic_adar"):
        exhibits.chosen(["9"])
    with pytest.raises(UnknownError, match="There is no run 2; there are 0 to 1"):
        exhibits.of_run(2, "model")
    with pytest.raises(UnknownError, match="There is no 'x' of run 1; there are model, adamic_ad"):
        exhibits.of_run(1, "x")


def test_a_run_with_lists_is_shown_from_them(tmp_path: Path) -> None:
    exhibits = Exhibits.open([store_lists(tmp_path)])
    exhibits.load()
    [model, *_] = exhibits.sources

    def shown(row: int, k: int, not_known: bool) -> tuple[list[str], str]:
        entries, message = neighbours(exhibits.runs, model, row, k, not_known)
        return [entry.shown.item for entry in entries], message

    assert shown(2, 1, False) == (["a b"], "")
    assert shown(2, 50, True) == (["a b"], "This run keeps the best 2 of each item alone.")
    assert shown(4, 2, False)[1].startswith("No score")

"""What has a vector beside the items: types, labels and users, against products by hand."""

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from recsys_lab.commands.app import app
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.export import export
from tests.vectors.stored import IDS, node_content, store, store_nodes

SCORED = [0, 1, 2, 3]  # items


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store_nodes(tmp_path_factory.mktemp("nodes") / "run")


@pytest.fixture(scope="module")
def embeddings(run: Path) -> Embeddings:
    return Embeddings.load(run)


def score_by_hand(one: int, other: int) -> float:
    """Of two nodes: the mean of both directions, and both biases."""
    nodes = node_content().nodes
    assert nodes is not None
    centers, contexts, bias = nodes.tables[:3]
    both = centers[one] @ contexts[other] + centers[other] @ contexts[one]
    return float(both / 2 + bias[one] + bias[other])


def ranked(scores: dict[Any, float]) -> tuple[list[Any], list[float]]:
    names = sorted(scores, key=lambda name: -scores[name])
    return names, [scores[name] for name in names]


def test_items_for_a_label_have_the_scores_of_the_model(embeddings: Embeddings) -> None:
    found = embeddings.for_node("category", "shoes", 9)
    names, scores = ranked({IDS[item]: score_by_hand(9, item) for item in SCORED})
    assert found["item"].to_list() == names
    assert found["score"].to_list() == pytest.approx(scores, rel=1e-5)
    cheap = embeddings.for_node("category", "shoes", 9, max_price=10)
    assert cheap["item"].to_list() == [name for name in names if name in ("0007", "nan")]


def test_labels_and_users_near_an_item(embeddings: Embeddings) -> None:
    found = embeddings.nearest("category", item="c")
    names, scores = ranked({"Hats": score_by_hand(2, 8), "Shoes": score_by_hand(2, 9)})
    assert found["name"].to_list() == names
    assert found["score"].to_list() == pytest.approx(scores, rel=1e-5)
    users = embeddings.nearest("user", item="c")  # u3 has no vector of its own
    names, scores = ranked({"u1": score_by_hand(2, 5), "u2": score_by_hand(2, 6)})
    assert users["name"].to_list() == names
    assert users["score"].to_list() == pytest.approx(scores, rel=1e-5)
    types = embeddings.nearest("user_type", node=("category", "Hats"))
    assert types.rows() == [("young", pytest.approx(score_by_hand(8, 10), rel=1e-5), 3)]


def test_a_user_is_pooled_and_has_a_key_of_its_own(embeddings: Embeddings) -> None:
    """User u1 had items 0 and 1, of which the first weighs half as much."""
    users = embeddings.users
    scores = embeddings.keys @ users.query("u1")
    nodes = node_content().nodes
    assert nodes is not None
    for item in SCORED:
        pooled = (score_by_hand(0, item) + 2 * score_by_hand(1, item)) / 3
        own = (nodes.tables.bias[0] + 2 * nodes.tables.bias[1]) / 3  # ranks nothing
        assert scores[item] == pytest.approx(pooled - own, rel=1e-4)
    assert users.table["own"].to_list() == [True, True, False]
    assert (users.keys[2] == 0).all()
    mode = stat.S_IMODE(users.path.stat().st_mode)
    assert mode == 0o600


def test_nodes_like_one_have_the_largest_cosines(embeddings: Embeddings) -> None:
    [(name, score, count)] = embeddings.nodes.like("category", "Hats").rows()
    one, other = embeddings.nodes.queries[[0, 1], :-2].astype(np.float64)  # without constants
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert (name, score, count) == ("Shoes", pytest.approx(cosine, rel=1e-5), 2)


@pytest.mark.parametrize(
    ("group", "name", "said"),
    [
        ("category", "Hat", r"no category is named 'Hat' \(did you mean Hats\?\)"),
        ("category", "zzz", r"no category is named 'zzz' \(there are Hats, Shoes\)"),
        ("brand", "Hats", "there is no group of nodes 'brand'; .* has category, user_type"),
        ("user_type", "old", "user_type 'old' has no vector: training never met it"),
    ],
)
def test_what_is_not_there_is_told_with_near_names(
    embeddings: Embeddings, group: str, name: str, said: str
) -> None:
    with pytest.raises(VectorsError, match=said):
        embeddings.for_node(group, name)


def test_a_run_of_items_alone_says_so(tmp_path: Path) -> None:
    plain = Embeddings.load(store(tmp_path))
    with pytest.raises(VectorsError, match=r"holds no types and no labels: .*nodes.labels="):
        plain.for_node("category", "Hats")


# -- commands ------------------------------------------------------------------------------------


def similar(run: Path, *words: str) -> Any:
    return CliRunner().invoke(app, ["similar", str(run), *words])


@pytest.mark.parametrize("text", ["category=hats", "Hats"])
def test_similar_takes_a_node(run: Path, embeddings: Embeddings, text: str) -> None:
    found = json.loads(similar(run, f"--node={text}", "--k=2", "--json").stdout)
    expected = embeddings.for_node("category", "Hats", 2)
    assert [one["item"] for one in found["items"]] == expected["item"].to_list()
    assert found["asked"] == {"group": "category", "name": "Hats", "count": 1}
    shown = similar(run, f"--node={text}", "--k=2").stdout
    assert "For category Hats, 1 occurrence" in shown
    assert all(title in shown for title in expected["title"].drop_nulls())
    like = similar(run, f"--like-node={text}").stdout
    assert like.startswith("category like category Hats, 1 occurrence\n")
    assert "Shoes" in like


@pytest.mark.parametrize("words", [("c",), ("--user=u1",), ("--node=young",)])
def test_similar_lists_nodes_in_place_of_items(
    run: Path, embeddings: Embeddings, words: tuple[str, ...]
) -> None:
    found = json.loads(similar(run, *words, "--as=category", "--json").stdout)
    nodes = found["nodes"] if "nodes" in found else found["answers"][0]["similar"]
    assert sorted(one["name"] for one in nodes) == ["Hats", "Shoes"]
    shown = similar(run, *words, "--as=category").stdout
    assert shown.startswith("category near ")
    assert " occurrences " in shown
    assert "Hats" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--node=hatz",), r"did you mean category=Hats\?"),
        (("--node=a",), r"did you mean category=Hats\?"),
        (("--node=user=u1",), "name it by --user=u1"),
        (("--node=Hats", "--user=u1"), "name one or several ITEMs, or one of"),
        (("--like-node=Hats", "--as=category"), "--as has no effect with --like-node"),
        (("c", "--as=categry"), r"no group of nodes 'categry' \(did you mean category\?\)"),
        (("--user=u1", "--explain"), "--explain is for ITEM"),
        (("c", "--as=category", "--brand=Acme"), "filters, --diverse and --explain are for lists"),
    ],
)
def test_what_similar_cannot_answer_is_a_sentence(
    run: Path, words: tuple[str, ...], said: str
) -> None:
    done = similar(run, *words)
    assert done.exit_code == 1
    with pytest.raises(VectorsError, match=said):
        raise done.exception


def test_nodes_are_exported(run: Path, embeddings: Embeddings, tmp_path: Path) -> None:
    words = ["export", str(run), "--format", "npy", "--nodes", "--out", str(tmp_path / "nodes")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.exception
    assert "3 nodes; 1 without a score are left out" in done.stderr
    assert (np.load(tmp_path / "nodes.query.npy") == embeddings.nodes.queries[:3]).all()
    assert (np.load(tmp_path / "nodes.key.npy") == embeddings.nodes.keys[:3]).all()
    names = json.loads((tmp_path / "nodes.ids.json").read_text())
    assert names == ["category=Hats", "category=Shoes", "user_type=young"]


def test_the_own_keys_of_users_are_exported(embeddings: Embeddings, tmp_path: Path) -> None:
    done = export(embeddings, "npy", tmp_path / "users.npy", "key", of="users")
    assert (done.num_items, done.left_out) == (2, 1)
    assert (np.load(tmp_path / "users.npy") == embeddings.users.keys[:2]).all()


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    run = store_nodes(tmp_path / "run")
    path = run / "embeddings" / "nodes.parquet"
    pl.read_parquet(path).drop("key").write_parquet(path)
    with pytest.raises(VectorsError, match=r"nodes.parquet is damaged: the column key is None"):
        len(Embeddings.load(run).nodes)

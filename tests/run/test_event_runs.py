"""Runs on logs of events: from the file to the recommendations of users."""

import json
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

import recsys_lab
from recsys_lab.commands.app import app
from recsys_lab.evaluation.histories import HistoryWeights
from recsys_lab.run.checkpoints import load_checkpoint
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.export import export
from tests.run.test_every_stop import outcome
from tests.run.test_every_stop import run as run_with_stops
from tests.run_cases import bare

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory")
WORDS = (
    "catalog=events", "data/source=events", "data.window=3", "model.embedding_dim=8",
    "trainer.max_epochs=2", "trainer.enable_progress_bar=false", "num_threads=1", "projector=0",
    "data.walks_per_batch=40", "curve.every_n_batches=1", "evaluation.replicates=0", "logger=csv",
    "data.num_workers=0",
)  # fmt: skip
Log = dict[str, list[str]]  # the items of each user in their order


def small_log(seed: int = 0, *, users: int = 120) -> Log:
    """Users who stay within one of four groups of ten items, most of the time."""
    rng = np.random.default_rng(seed)
    log = {}
    for user in range(users):
        own = 10 * (user % 4)
        items = [int(x) if rng.random() < 0.1 else own + int(x) % 10
                 for x in rng.integers(40, size=rng.integers(4, 12))]  # fmt: skip
        log[f"user-{user:03d}"] = [f"i{item:02d}" for item in items]
    return log


def write_events(path: Path, log: Log) -> Path:
    rows = [(user, item, 1_500_000_000 + 600 * place + number)
            for number, (user, items) in enumerate(log.items())
            for place, item in enumerate(items)]  # fmt: skip
    pl.DataFrame(rows, schema=["user", "item", "time"], orient="row").write_csv(path)
    return path


def write_lists(path: Path, log: Log) -> Path:
    path.write_text("".join(f"{user} {' '.join(items)}\n" for user, items in log.items()))
    return path


def parts_of(folder: Path, *words: str) -> tuple[Any, Any]:
    experiment = recsys_lab.configure(*WORDS, f"prepared_dir={folder}/prepared", *words)
    return experiment, recsys_lab.prepare(
        experiment.source, experiment.split, experiment.prepared_dir
    )


def fitted(folder: Path, *words: str) -> recsys_lab.Fitted:
    experiment, prepared = parts_of(folder, *words)
    return recsys_lab.fit(prepared, experiment, folder / "run")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run that was tested; popularity gives its items biases."""
    folder = tmp_path_factory.mktemp("events")
    path = write_events(folder / "log.csv", small_log())
    words = (f"catalog.path={path}", "split=leave_one_out", "model.popularity_weight=1")
    fitted(folder, *words).test()
    return folder


@pytest.fixture(scope="module")
def embeddings(folder: Path) -> recsys_lab.Embeddings:
    return recsys_lab.Embeddings.load(folder / "run")


def test_a_run_is_tested_again_from_its_checkpoint(folder: Path) -> None:
    words = (f"catalog.path={folder / 'log.csv'}", "split=leave_one_out", "test=false")
    experiment, prepared = parts_of(folder, *words, "model.popularity_weight=1")
    best = folder / "run" / "checkpoints" / "best.ckpt"
    again = recsys_lab.load(prepared, experiment, folder / "again", best).measure()
    first = json.loads((folder / "run" / "metrics.json").read_text())
    tested = {key: value for key, value in first.items() if key.startswith("test/")}
    assert len(tested) > 10
    assert {key: again[key] for key in tested} == tested


@pytest.mark.parametrize("layout", ["events", "sequences", "baskets"])
def test_a_log_of_each_layout_becomes_a_run_with_a_curve_and_a_table(
    layout: str, tmp_path: Path
) -> None:
    log = small_log(1)
    if layout == "events":
        words = [f"catalog.path={write_events(tmp_path / 'a.csv', log)}", "split=time"]
    elif layout == "sequences":
        words = [f"catalog.path={write_lists(tmp_path / 'a.txt', log)}", "split=leave_one_out"]
    else:
        train = {user: items[:-2] for user, items in log.items()}
        held = {user: sorted(set(items[-2:]) - set(train[user])) for user, items in log.items()}
        test = {user: items for user, items in held.items() if items}
        words = [
            f"catalog.path={write_lists(tmp_path / 'train.txt', train)}",
            f"catalog.test_path={write_lists(tmp_path / 'test.txt', test)}",
            "catalog.layout=baskets", "split=given", "history.decay=1",
        ]  # fmt: skip
    done = fitted(tmp_path, *words)
    metrics = done.test()
    assert metrics["test/auc/uniform/all"] > 0.5
    assert metrics["baseline/item_knn/hr@10/all"] > metrics["chance/hr@10/all"]
    assert [row["step"] for row in done.curve][-1] == done.step > 2
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()


def test_a_run_that_was_stopped_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    path = write_events(tmp_path / "log.csv", small_log())
    parts = parts_of(tmp_path, f"catalog.path={path}", "split=leave_one_out")
    whole = recsys_lab.fit(parts[1], parts[0], tmp_path / "whole")
    again = run_with_stops(parts, tmp_path / "stopped", [1, 4])
    assert outcome(again) == outcome(whole)


def test_what_is_held_out_trains_nothing(tmp_path: Path) -> None:
    log = small_log()
    weights = []
    for name in ("as it was", "another future"):
        if name == "another future":  # the held-out items go to other users
            ends = [items[-2:] for items in log.values()]
            users = list(log)
            log = {user: log[user][:-2] + ends[k - 1] for k, user in enumerate(users)}
        path = write_events(tmp_path / f"{name}.csv", log)
        done = fitted(tmp_path / name, f"catalog.path={path}", "split=leave_one_out", "test=false")
        stored = load_checkpoint(done.folder / "checkpoints" / "last.ckpt")
        weights.append(stored["state_dict"])
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_run_by_pairs_of_the_same_log_trains_on_walks(folder: Path, tmp_path: Path) -> None:
    words = (f"catalog.path={folder / 'log.csv'}", "split=pairs", "data/source=walks")
    metrics = fitted(tmp_path, *words).test()
    assert "baseline/common_neighbours/auc/uniform/all" in metrics
    assert not (tmp_path / "run" / "embeddings" / "users.parquet").exists()
    embeddings = recsys_lab.Embeddings.load(tmp_path / "run")
    with pytest.raises(VectorsError, match=r"holds no users: .*split=leave_one_out"):
        embeddings.for_user("user-000")
    assert len(embeddings.for_history(["i00", "i01"], 3)) == 3  # of any run


# -- users ---------------------------------------------------------------------------------------


def history_of(user: str) -> list[str]:
    """The distinct items of a user, by their last events."""
    items = small_log()[user]
    return sorted(set(items), key=lambda item: len(items) - items[::-1].index(item))


def test_the_score_of_an_item_for_a_user_is_the_mean_of_its_scores_for_the_history(
    embeddings: recsys_lab.Embeddings,
) -> None:
    user = "user-007"
    items = small_log()[user]
    ages = range(len(items) - 1, -1, -1)
    tables = embeddings.score_tables
    for _, row in zip(range(5), embeddings.for_user(user, 5).iter_rows(named=True), strict=True):
        expected = sum(0.7**age * embeddings.score(item, row["item"])
                       for age, item in zip(ages, items, strict=True))  # fmt: skip
        expected -= sum(0.7**age * float(tables.bias[embeddings.index([item])[0]])
                        for age, item in zip(ages, items, strict=True))  # fmt: skip
        assert row["score"] == pytest.approx(expected / sum(0.7**age for age in ages), rel=1e-4)


def test_the_list_of_a_user_is_that_of_all_items_in_the_order_of_their_scores(
    embeddings: recsys_lab.Embeddings,
) -> None:
    user = "user-003"
    query = embeddings.users.query(user)
    order = np.argsort(-(embeddings.keys @ query), kind="stable")
    every = [embeddings.ids[int(row)] for row in order]
    history = history_of(user)
    assert (
        embeddings.for_user(user, 6)["item"].to_list() == [x for x in every if x not in history][:6]
    )
    known = embeddings.for_user(user, 6, not_known=False)
    assert known["item"].to_list() == every[:6]
    assert known["in_history"].to_list() == [item in history for item in every[:6]]
    assert embeddings.ids[embeddings.users.history(user)].to_list() == history
    assert (embeddings.users.queries[embeddings.users.row(user)] == query).all()


def test_a_history_that_is_given_is_pooled_as_that_of_a_user(
    embeddings: recsys_lab.Embeddings,
) -> None:
    user = "user-011"
    given, known = embeddings.for_history(small_log()[user], 5), embeddings.for_user(user, 5)
    assert given.drop("score").equals(known.drop("score"))
    assert given["score"].to_list() == pytest.approx(known["score"].to_list(), rel=1e-6)
    last = HistoryWeights(decay=1, last=1)
    alone = embeddings.for_history([small_log()[user][-1]], 5, not_known=False)
    found = embeddings.for_history(small_log()[user], 5, not_known=False, weigh=last)
    assert found["item"].to_list() == alone["item"].to_list()
    with pytest.raises(VectorsError, match='no item "i99"'):
        embeddings.for_history(["i99"])


def test_users_like_one_have_the_largest_cosines(embeddings: recsys_lab.Embeddings) -> None:
    users = embeddings.users
    vectors = users.queries[:, :-2].astype(np.float64)  # without the constants of biases
    row = users.row("user-020")
    cosines = (
        vectors @ vectors[row] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[row])
    )
    cosines[row] = -2
    found = users.like("user-020", 4)
    assert found["user"].to_list() == [users.ids[int(x)] for x in np.argsort(-cosines)[:4]]
    assert found["score"].to_list() == pytest.approx(np.sort(cosines)[::-1][:4].tolist(), rel=1e-5)
    same_group = [int(name[-3:]) % 4 for name in users.like("user-020", 10)["user"]]
    assert same_group.count(0) >= 6


def test_the_file_of_users_is_the_owners_alone(folder: Path) -> None:
    path = folder / "run" / "embeddings" / "users.parquet"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_user_whose_items_are_all_cold_is_told_so(folder: Path, tmp_path: Path) -> None:
    log = small_log() | {"new-1": ["late"], "new-2": ["i00"]}
    path = write_events(tmp_path / "log.csv", log)
    text = path.read_text().replace(",late,1500", ",late,1900")  # after the cut
    path.write_text(text)
    done = fitted(tmp_path, f"catalog.path={path}", "split=time")
    done.save_embeddings()
    embeddings = recsys_lab.Embeddings.load(tmp_path / "run")
    assert len(embeddings.for_user("new-2", 3)) == 3
    with pytest.raises(VectorsError, match="user 'new-1' has no vector: no item of the history"):
        embeddings.for_user("new-1")
    with pytest.raises(VectorsError, match="no user 'nobody' among the 122 users"):
        embeddings.for_user("nobody")


# -- commands ------------------------------------------------------------------------------------


def similar(folder: Path, *words: str) -> Any:
    return CliRunner().invoke(app, ["similar", str(folder / "run"), *words])


def test_similar_takes_a_user(folder: Path, embeddings: recsys_lab.Embeddings) -> None:
    expected = embeddings.for_user("user-005", 3)["item"].to_list()
    done = similar(folder, "--user=user-005", "--k=3", "--json")
    found = json.loads(done.stdout)
    assert [one["item"] for one in found["items"]] == expected
    assert found["latest"][0]["item"] == small_log()["user-005"][-1]
    shown = similar(folder, "--user=user-005", "--k=3").stdout
    assert "For user user-005" in shown
    assert all(item in shown for item in expected)
    known = similar(folder, "--user=user-005", "--known", "--k=40").stdout
    assert "in history" in known


def test_similar_takes_a_user_to_find_like_ones(
    folder: Path, embeddings: recsys_lab.Embeddings
) -> None:
    done = similar(folder, "--like-user=user-005", "--k=3", "--json")
    like = embeddings.users.like("user-005", 3)["user"].to_list()
    assert [one["user"] for one in json.loads(done.stdout)["users"]] == like
    assert like[0] in similar(folder, "--like-user=user-005", "--k=3").stdout


def test_users_are_exported(
    folder: Path, embeddings: recsys_lab.Embeddings, tmp_path: Path
) -> None:
    for form in ("word2vec", "npy"):
        words = ["export", str(folder / "run"), "--format", form, "--users"]
        done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "users")])
        assert done.exit_code == 0, done.exception
    for name in ("users", "users.npy", "users.ids.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    lines = (tmp_path / "users").read_text().splitlines()
    assert lines[0] == f"120 {embeddings.users.queries.shape[1]}"
    assert [line.split()[0] for line in lines[1:]] == embeddings.users.ids.to_list()
    assert (np.load(tmp_path / "users.npy") == embeddings.users.queries).all()
    assert json.loads((tmp_path / "users.ids.json").read_text()) == embeddings.users.ids.to_list()
    with pytest.raises(VectorsError, match="users have the table query alone, got which=key"):
        export(embeddings, "npy", tmp_path / "x", "key", of="users")


@pytest.mark.parametrize("words", [(), ("i00", "--user=a"), ("--user=a", "--like-user=b")])
def test_similar_takes_one_kind_of_question(folder: Path, words: Sequence[str]) -> None:
    done = similar(folder, *words)
    assert done.exit_code == 1
    assert "name one or several ITEMs, or one of --user=ID, --like-user=ID" in str(done.exception)


def test_a_run_by_the_command_names_no_user(tmp_path: Path) -> None:
    path = write_events(tmp_path / "log.csv", small_log())
    words = [*WORDS, f"catalog.path={path}", "split=leave_one_out", "users=false",
             f"hydra.run.dir={tmp_path}/run", f"prepared_dir={tmp_path}/prepared"]  # fmt: skip
    words.remove("logger=csv")  # TensorBoard, as usual
    done = bare(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert "split by leave_one_out" in done.stderr + done.stdout
    for file in (tmp_path / "run").rglob("*"):
        if file.is_file():
            assert b"user-0" not in file.read_bytes(), file
    assert "user-0" not in done.stdout + done.stderr
    with pytest.raises(VectorsError, match=r"holds no users: .*unless users=false"):
        recsys_lab.Embeddings.load(tmp_path / "run").for_user("user-000")


def test_users_are_rows_of_the_table_of_starspace(tmp_path: Path) -> None:
    """Which pairs with their items train, and which rank the items."""
    words = (f"catalog.path={write_events(tmp_path / 'log.csv', small_log())}", "nodes.users=true",
             "split=leave_one_out", "model=starspace", "model.fields=[]", "data=interactions",
             "history.vector=user", "data.batch_size=128", "data.negative_exponent=0",
             "optimizer.lr=0.1", "trainer.max_epochs=8")  # fmt: skip
    kept = [word for word in WORDS if not word.startswith("data")]
    experiment = recsys_lab.configure(*kept, *words, f"prepared_dir={tmp_path}")
    prepared = recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)
    run = recsys_lab.fit(prepared, experiment, tmp_path / "run")
    assert run.task.kernel == "fused_loss"
    assert run.node_scorer.queries.shape == (40 + 120, 8)
    metrics = run.measure()
    assert metrics["test/ndcg@10/all"] > 2 * metrics["baseline/popularity/ndcg@10/all"]
    asked = run.data.asked(run.node_scorer, "test").queries
    np.testing.assert_allclose(asked, run.node_scorer.queries[40:], atol=1e-6)

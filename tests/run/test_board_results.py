"""What TensorBoard shows of a finished run, read back from its files of events."""

import numpy as np
import polars as pl
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.metadata import (
    EXPERIMENT_TAG,
    SESSION_START_INFO_TAG,
    parse_session_start_info_plugin_data,
)
from tensorboard.util.tensor_util import make_ndarray

from recsys_lab.evaluation.metrics import precision_recall
from recsys_lab.results.precision_recall import write_precision_recall
from recsys_lab.run.board_curves import test_curves as curves_of
from recsys_lab.run.board_results import board_metrics, clear_board, write_board
from recsys_lab.run.board_texts import escaped, nearest, neighbours_text
from recsys_lab.run.boards import BoardLogger
from recsys_lab.run.experiment import configure
from recsys_lab.run.hyper_parameters import hyper_parameters
from recsys_lab.vectors.score_form import ScoreTables
from recsys_lab.vectors.store import TEXT_COLUMNS, Content
from tests.run_cases import metrics as metrics_of
from tests.run_cases import rows
from tests.run_folder_cases import cold_metrics, metrics


def content(titles=("red", "dark red", "blue"), scored=(True, True, True)):
    """Items on a line, the first one the most popular."""
    count = len(titles)
    columns = dict.fromkeys(TEXT_COLUMNS) | {"item": [f"i{n}" for n in range(count)]}
    items = pl.DataFrame(columns | {"title": list(titles), "num_pairs": range(count, 0, -1)})
    vectors = np.linspace(1, 3, count, dtype=np.float32)[:, None]
    tables = ScoreTables(vectors, vectors, np.zeros(count, np.float32), False)
    return Content(items, np.array(scored), tables, pl.DataFrame(), {})


def read(folder):
    board = EventAccumulator(str(folder))
    board.Reload()
    return board


def text(board, tag):
    [event] = board.Tensors(f"{tag}/text_summary")
    return event.tensor_proto.string_val[0].decode()


def session(board):
    info = board.SummaryMetadata(SESSION_START_INFO_TAG).plugin_data.content
    values = parse_session_start_info_plugin_data(info).hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}


def test_the_dashboard_of_a_run_holds_its_results_once(finished):
    board, found = read(finished), metrics_of(finished)
    last = int(rows(finished)[-1]["step"])
    for name in ("test/ndcg@10/all", "test/mrr/all", "test/auc/uniform/seen"):
        [event] = board.Scalars(name)
        assert (event.step, event.value) == (last, pytest.approx(found[name], rel=1e-5))
    [best] = board.Scalars("val/best/ndcg@10")
    points = [float(row["val/ndcg@10"]) for row in rows(finished) if row["val/ndcg@10"]]
    assert best.value == pytest.approx(max(points), rel=1e-5)
    assert f"{found['test/ndcg@10/all']:.4f}" in text(board, "results/1_metrics")
    assert len(text(board, "results/2_neighbours").splitlines()) == 2 + 10
    assert "embedding_dim: 16" in text(board, "results/3_configuration")
    chosen = session(board)
    assert chosen["seed"] == "0"
    assert (chosen["model"], chosen["data"], chosen["model.embedding_dim"]) == (
        "skipgram", "sequences", 16,
    )  # fmt: skip
    assert not any(name.startswith(("curve", "evaluation", "prepared_dir")) for name in chosen)
    assert EXPERIMENT_TAG not in board.Tags()["tensors"]  # it would choose columns for all runs
    assert not (finished / "hparams.yaml").exists()


def test_the_table_of_results_is_in_the_log(finished):
    value = f"{metrics_of(finished)['test/ndcg@10/all']:.4f}"
    lines = (finished / "train.log").read_text().splitlines()
    row = next(line for line in lines if line.startswith("│ this model"))
    assert value in row
    assert not any("\x1b" in line or line.endswith(" ") for line in lines)


def test_a_second_test_replaces_the_results_and_keeps_the_curve(tmp_path):
    logger = BoardLogger(tmp_path)
    logger.log_metrics({"train/loss": 2.0}, step=1)
    logger.finalize("success")
    for value in (0.1, 0.2):
        found = metrics() | {"test/ndcg@10/all": value}
        write_board(tmp_path, found, content(), {}, 4, {"val/auc/uniform/seen": 0.9}, {})
    board = read(tmp_path)
    assert [(e.step, e.value) for e in board.Scalars("train/loss")] == [(1, 2.0)]
    assert [(e.step, round(e.value, 4)) for e in board.Scalars("test/ndcg@10/all")] == [(4, 0.2)]
    assert board.Scalars("val/best/auc/uniform/seen")[0].value == pytest.approx(0.9)


def test_test_metrics_are_those_of_the_table():
    assert all(name.endswith(("/all", "/seen")) for name in board_metrics(metrics()))
    cold = board_metrics(cold_metrics(0.4))
    assert "test/auc/uniform/one_cold" in cold
    assert not any(name.endswith("/seen") for name in cold)
    assert board_metrics({"test/mrr/all": None}) == {}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["seed=3"], {"seed": "3", "model": "skipgram", "data": "sequences"}),
        (
            ["model=mf_bias", "data=pairs", "optimizer.lr=0.3", "curve.every_n_batches=7"],
            {"seed": "0", "model": "mf_bias", "data": "pairs", "optimizer.lr": 0.3},
        ),
        (
            ["experiment=node2vec", "optimizer.lr=0.1", "trainer=smoke"],
            {
                "seed": "0", "model": "skipgram", "data": "sequences", "trainer": "smoke",
                "data.source.p": 0.5, "data.source.q": 2.0,
            },
        ),
    ],
)  # fmt: skip
def test_hyper_parameters_are_what_differs_from_the_chosen_groups(words, expected, tmp_path):
    assert hyper_parameters(configure(*words).configuration, tmp_path) == expected


def test_what_was_swept_is_a_hyper_parameter_at_its_default_too(tmp_path):
    (tmp_path / ".hydra").mkdir()
    words = ["optimizer.lr=0.1", "experiment=mf_bias_pairs", "catalog=synthetic", "debug=limit"]
    (tmp_path / ".hydra" / "overrides.yaml").write_text("\n".join(f"- {word}" for word in words))
    found = hyper_parameters(configure(*words[:-1]).configuration, tmp_path)
    assert found == {
        "seed": "0", "model": "mf_bias", "data": "pairs", "catalog": "synthetic",
        "optimizer.lr": 0.1, "experiment": "mf_bias_pairs", "debug": "limit",
    }  # fmt: skip
    assert hyper_parameters({}, tmp_path) == {}


def test_neighbours_are_listed_from_the_most_popular_item():
    lines = neighbours_text(content(scored=(True, False, True))).splitlines()
    assert lines[2:] == [
        "| red `i0` | 3 | blue `i2` (3.000) |",
        "| blue `i2` | 1 | red `i0` (3.000) |",
    ]
    assert neighbours_text(content(scored=(False,) * 3)) == "The model can score no item."


@pytest.mark.parametrize("both_ways", [False, True])
def test_nearest_items_are_exact_over_several_blocks(both_ways, monkeypatch):
    monkeypatch.setattr("recsys_lab.run.board_texts._BLOCK", 7)
    rng = np.random.default_rng(0)
    queries, keys = rng.normal(size=(2, 30, 4)).astype(np.float32)
    bias, allowed = rng.normal(size=30).astype(np.float32), rng.random(30) < 0.8
    items = np.flatnonzero(allowed)[[0, 9, 20]]
    scores = queries @ keys.T
    scores = (scores + scores.T) / 2 if both_ways else scores
    scores = scores + bias + bias[:, None]
    rows, values = nearest(ScoreTables(queries, keys, bias, both_ways), items, 5, allowed)
    for item, found, given in zip(items, rows, values, strict=True):
        others = [n for n in np.argsort(-scores[item]) if allowed[n] and n != item]
        assert found.tolist() == others[:5]
        assert given == pytest.approx(scores[item, found], abs=1e-5)


def test_titles_have_no_meaning_as_markdown():
    assert escaped("a|b <b>x</b>\n`c` *d* _e_ \x00") == (
        r"a\|b &lt;b\>x&lt;/b\> \`c\` \*d\* \_e\_ " + "\ufffd"
    )
    assert len(escaped(100 * "a")) == 60


def test_the_curve_of_the_test_has_the_counts_of_its_scores(tmp_path):
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(1, 2, 300), rng.normal(-1, 2, 200)
    curve = precision_recall(positive, negative)
    write_precision_recall(tmp_path, {"all": (curve[0], curve[1][:-1], curve[2][:-1])})
    found = {"count/test/all": 300}
    [(name, counts)] = curves_of(tmp_path, found, ["uniform", "other"], torch.sigmoid).items()
    assert name == "uniform"
    for place, threshold in enumerate(np.linspace(0, 1, 127)):
        taken = [(1 / (1 + np.exp(-x)) >= threshold).sum() for x in (positive, negative)]
        assert counts[:4, place] == pytest.approx(
            [*taken, 200 - taken[1], 300 - taken[0]], abs=0.02
        )
    write_board(tmp_path, found, content(), {}, 4, {}, {name: counts})
    [event] = read(tmp_path).Tensors("test/precision_recall/uniform")
    assert make_ndarray(event.tensor_proto) == pytest.approx(counts, rel=1e-5)
    assert curves_of(tmp_path, {}, ["uniform"], torch.sigmoid) == {}  # not tested


def test_a_run_that_is_not_tested_shows_no_table(tmp_path):
    write_board(tmp_path, {"fit/seconds": 1.0}, content(), {}, 4, {"val/mrr": 0.5}, {})
    board = read(tmp_path)
    assert board.Tags()["scalars"] == ["val/best/mrr"]
    assert "results/1_metrics/text_summary" not in board.Tags()["tensors"]
    clear_board(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_seen_pairs_are_not_listed_twice_where_they_are_all():
    found = {"test/auc/uniform/all": 0.5, "test/auc/uniform/seen": 0.5, "count/test/all": 3}
    assert board_metrics(found | {"count/test/seen": 3}) == {"test/auc/uniform/seen": 0.5}
    assert len(board_metrics(found | {"count/test/seen": 2})) == 2

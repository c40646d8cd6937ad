"""The Python interface: the examples of its docstrings, and what they cannot show."""

import doctest
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import recsys_lab
from recsys_lab.config.targets import ConfigurationError
from tests.run_cases import BRIEF, ROOT

SMALL = ("catalog.num_items=400", *BRIEF)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def experiment(folder: Path) -> recsys_lab.Experiment:
    return recsys_lab.configure(*SMALL, f"prepared_dir={folder}/prepared")


@pytest.fixture(scope="module")
def prepared(experiment: recsys_lab.Experiment) -> recsys_lab.PreparedData:
    return recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)


@pytest.fixture(scope="module")
def fitted(
    prepared: recsys_lab.PreparedData, experiment: recsys_lab.Experiment, folder: Path
) -> recsys_lab.Fitted:
    return recsys_lab.fit(prepared, experiment, folder / "run")


def test_the_examples_of_the_docstrings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(recsys_lab)
    assert (failed, tried) == (0, 10)


def test_every_name_is_there() -> None:
    assert set(recsys_lab.__all__) <= set(dir(recsys_lab))
    for name in recsys_lab.__all__:
        assert getattr(recsys_lab, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        recsys_lab.nothing  # noqa: B018


def test_vectors_and_scores_go_by_raw_id(
    fitted: recsys_lab.Fitted, prepared: recsys_lab.PreparedData
) -> None:
    ids = prepared.catalog.raw_ids.to_list()
    table = fitted.task.net.centers.table.detach().numpy()
    np.testing.assert_array_equal(fitted.vectors(), table)
    np.testing.assert_array_equal(fitted.vectors([ids[7], ids[3]]), table[[7, 3]])
    head, tail = prepared.split.train.ids[0]
    one, other = fitted.task.net.centers, fitted.task.net.contexts
    inner = one.table[head] @ other.table[tail] + one.table[tail] @ other.table[head]
    popularity = fitted.task.net.popularity
    expected = float(inner.detach()) / 2 + float(popularity[head] + popularity[tail])
    assert fitted.score([ids[head]], [ids[tail]])[0] == pytest.approx(expected, rel=1e-4)
    fitted.vectors()[:] = 0  # a copy
    assert np.abs(fitted.vectors()).sum() > 0
    with pytest.raises(ValueError, match="no item 'nobody'"):
        fitted.vectors(["nobody"])


def test_a_checkpoint_gives_the_same_metrics(
    fitted: recsys_lab.Fitted, prepared: recsys_lab.PreparedData, folder: Path
) -> None:
    checkpoint = folder / "run" / "checkpoints" / "best.ckpt"
    loaded = recsys_lab.load(prepared, fitted.experiment, folder / "loaded", checkpoint)
    np.testing.assert_array_equal(loaded.vectors(), fitted.vectors())
    metrics, again = fitted.test(), loaded.test()
    assert (folder / "run" / "metrics.json").is_file()
    assert {k: v for k, v in metrics.items() if not k.startswith("fit/")} == again
    found = [row["val/ndcg@10"] for row in fitted.curve if row.get("val/ndcg@10") is not None]
    assert len(found) == 2
    assert fitted.best == pytest.approx(max(found))


def test_fitting_leaves_the_random_state_of_the_caller(
    prepared: recsys_lab.PreparedData, experiment: recsys_lab.Experiment, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    short = replace(experiment, trainer=partial(experiment.trainer, limit_train_batches=1))
    recsys_lab.fit(prepared, short, tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


BY_HAND = """
import sys
from functools import partial
from pathlib import Path

sys.modules["hydra"] = None  # importing it fails
import pytorch_lightning
import recsys_lab
from recsys_lab.data.modules import PairDataModule
from recsys_lab.models.builders import matrix_factorization
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.schedules import constant
from recsys_lab.run.final_test import FinalTest
from recsys_lab.run.learning_curve import LearningCurve

Path("pairs.tsv").write_text(
    "".join(f"i{k}\\ti{(k + step) % 200}\\n" for k in range(200) for step in (1, 2, 3))
)
experiment = recsys_lab.Experiment(
    source=recsys_lab.EdgeSource(
        "pairs.tsv", val_path=None, test_path=None, items_path=None, item_columns={},
        outside_items="drop", max_bad_fraction=0.0, columns={},
        separator=None, comment=None, repeats="once", undirected=False,
        layout=None,
    ),
    split=recsys_lab.SplitOptions("pairs", 0.1, 0.1, ("uniform",), 0),
    prepared_dir=Path("prepared"),
    model=partial(matrix_factorization, embedding_dim=8, biases=False, loss="logistic", l2=0.0,
                  popularity_weight=0.0, kernel="autograd"),
    data=partial(PairDataModule, batch_size=64, num_negatives=5, negative_exponent=0.75,
                 use_weights=True, num_workers=0),
    optimizer=partial(RowWiseAdagrad, lr=0.1),
    schedule=constant,
    trainer=partial(pytorch_lightning.Trainer, max_epochs=2, accelerator="cpu"),
    curve=partial(LearningCurve, every_n_batches=5, max_pairs=50, ranking_queries=20,
                  max_scores=1e6),
    evaluation=FinalTest(ks=[10], max_scores=1e6, replicates=0),
    monitor="val/ndcg@10",
    seed=0,
    num_threads=1,
    progress_bar=False,
)
prepared = recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)
fitted = recsys_lab.fit(prepared, experiment, "run")
metrics = fitted.test()
print(len(fitted.vectors(["i3"])[0]), sorted(metrics)[0], metrics["data/read_as/edges"])
"""


def test_parts_by_hand_need_no_configuration_and_no_hydra(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BY_HAND], capture_output=True, text=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("8 baseline/adamic_adar")
    assert "tab, 2 columns, no header" in done.stdout
    assert "first edge 'i0' - 'i1'" in done.stdout


def test_mistakes_are_named_by_the_key() -> None:
    for override, message in (
        ("model=skipgam", "did you mean skipgram?"),
        ("catalog.num_items=3", r"^catalog\.num_items must be"),
        ("train=false", "call fit or load"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            recsys_lab.configure(override)

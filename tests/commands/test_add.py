"""`python -m recsys_lab add RUN FILE`: new items of a file beside those of a run."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from recsys_lab.commands.app import main
from recsys_lab.config.configuration import register_resolvers
from recsys_lab.vectors.embeddings import Embeddings
from tests.run_cases import ROOT
from tests.vectors.side_info import store_side_info
from tests.vectors.stored import store


def configured(folder: Path, *overrides: str) -> Path:
    """A folder of embeddings becomes that of a run: it says how the catalogue was read."""
    register_resolvers()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides=list(overrides))
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(config, folder / ".hydra" / "config.yaml")
    return folder


def amazon(folder: Path, *overrides: str) -> Path:
    return configured(store(folder), "catalog=amazon", "catalog.path=gone.json.gz", *overrides)


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """The exit status of a command, run in this process."""
    monkeypatch.setattr(sys, "argv", ["recsys-lab", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    code = stopped.value.code
    if isinstance(code, str):  # Python prints it, and exits with 1
        sys.stderr.write(f"{code}\n")
        return 1
    return code or 0


def lines(path: Path, *records: dict) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


NEW = {"asin": "n1", "title": "New &amp; shoe", "brand": "A&amp;B", "categories": [["X"]],
       "related": {"also_bought": ["0007", "n2", "elsewhere"]}}  # fmt: skip
KNOWN = {"asin": "c", "related": {"bought_together": ["n1", "0007"]}}  # 0007 is the run's


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return lines(tmp_path / "week 2.json", NEW, {"asin": "n2", "price": "$3"}, KNOWN)


def test_the_items_of_a_file_are_added(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = amazon(tmp_path / "run", "catalog.outside_items=drop")
    assert call(monkeypatch, "add", run, file) == 0
    printed = capsys.readouterr()
    folder = run / "embeddings_added" / "week 2"
    assert printed.out.strip() == str(folder)
    assert "3 lines read, 3 kept" in printed.err
    assert "2 new items: 2 from pairs" in printed.err
    assert "2 items there before, whose vectors stay; 3 new pairs" in printed.err
    found = Embeddings.load(folder)
    assert found.ids.to_list()[5:] == ["n1", "n2"]  # without the outside item
    assert found.items["title"][5] == "New & shoe"
    assert found.items["brand"][5] == "A&B"
    assert found.items["price"][6] == 3.0
    assert found.relations(5, np.array([0, 2, 6])) == [
        ["also_bought"], ["bought_together"], ["also_bought"],
    ]  # fmt: skip
    assert found.relations(2, np.array([0])) == [["also_bought"]]  # as before
    weights = found.pairs.filter(found.pairs["tail"] >= 5)["weight"].to_list()
    assert weights == pytest.approx([1.0, 1.2, 1.0])


def test_listed_items_are_new_ones_where_the_run_kept_them(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = amazon(tmp_path / "run")
    assert call(monkeypatch, "add", run, file, "--out", tmp_path / "out") == 0
    assert Embeddings.load(tmp_path / "out").ids.to_list()[5:] == ["elsewhere", "n1", "n2"]


def test_items_are_added_to_what_was_added_before(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = amazon(tmp_path / "run", "catalog.outside_items=drop")
    assert call(monkeypatch, "add", run, file, "--out", tmp_path / "one") == 0
    later = lines(tmp_path / "later.json", {"asin": "n3", "related": {"also_bought": ["n1"]}})
    assert call(monkeypatch, "add", tmp_path / "one", later) == 0
    found = Embeddings.load(run / "embeddings_added" / "later")
    assert found.ids.to_list()[5:] == ["n1", "n2", "n3"]
    assert found.items["added"][7] == "pairs"


def test_side_information_alone(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = configured(
        store_side_info(tmp_path / "run"), "catalog=amazon", "catalog.path=x",
        "model=skipgram_side_info", "catalog.outside_items=drop",
    )  # fmt: skip
    alone = lines(tmp_path / "alone.json", NEW | {"related": {}}, {"asin": "n2"})
    assert call(monkeypatch, "add", run, alone) == 0
    assert "1 from side information, 1 without a vector" in capsys.readouterr().err
    found = Embeddings.load(run / "embeddings_added" / "alone")
    np.testing.assert_allclose(found.vectors[5], found_by_hand := [0.5, 0.5])
    np.testing.assert_allclose(found.encode(brand="A&B", categories=["X"]).vector, found_by_hand)
    assert found.items["seen"].to_list()[5:] == [False, False]
    assert found.scored.tolist()[5:] == [True, False]
    assert found.similar("n1", 2).height == 2


def test_an_edge_list_is_read_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = configured(store(tmp_path / "run"), "catalog=edges", "catalog.path=gone.csv")
    file = tmp_path / "more.csv"
    file.write_text("0007,n1,2\nn1,n2,1\nc,0007,5\n")
    assert call(monkeypatch, "add", run, file) == 0
    found = Embeddings.load(run / "embeddings_added" / "more")
    assert found.ids.to_list()[5:] == ["n1", "n2"]
    assert found.pairs.filter(found.pairs["tail"] >= 5).rows() == [(0, 5, 2.0, 0), (5, 6, 1.0, 0)]


def test_the_objective_is_that_of_the_run() -> None:
    from recsys_lab.run.add import objective_of
    from recsys_lab.vectors.folding import Objective

    model = {"l2": 0.01, "loss": "squared"}
    data = {"num_negatives": 3, "negative_exponent": 0.75}
    assert objective_of({"model": model, "data": data}) == Objective(3, 0.75, 0.01, "squared")
    assert objective_of({"model": {}}) == Objective()
    for loss in ("bpr", "margin", "softmax"):
        assert objective_of({"model": {"loss": loss}}) == Objective(loss="logistic")


def test_what_cannot_be_added_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = amazon(tmp_path / "run", "catalog.outside_items=drop")

    def complaint(*words: object) -> str:
        assert call(monkeypatch, "add", *words) == 1
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        return text

    known = lines(tmp_path / "known.json", KNOWN)
    assert "holds no new item (1 lines read, 1 kept): all 2 items" in complaint(run, known)
    bad = tmp_path / "bad.json"
    bad.write_text("{]\n")
    assert "1 of 1 lines are bad (1 malformed)" in complaint(run, bad)
    assert "absent.json" in complaint(run, tmp_path / "absent.json")
    assert "holds the embeddings that are added to" in complaint(
        run, known, "--out", run / "embeddings"
    )
    bare = store(tmp_path / "bare")
    assert "has no .hydra/config.yaml" in complaint(bare, known)
    assert not (run / "embeddings_added").exists()

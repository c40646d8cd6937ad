"""A test takes over what an earlier one on the same data found out about the baselines."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.split import Split, SplitOptions, split_pairs
from recsys_lab.evaluation.baselines import BASELINES, AdamicAdar, Baseline, TrainingData
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.run import final_test, kept_folders
from recsys_lab.run.final_test import FinalTest
from recsys_lab.run.kept_baselines import kept_baselines
from recsys_lab.run.run_data import RunData

NUM_ITEMS = 60
TEST = FinalTest([5], max_scores=4e9, replicates=20)


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(0)
    places = np.sort(rng.choice(NUM_ITEMS * (NUM_ITEMS - 1) // 2, 300, replace=False))
    heads, tails = (ends[places].astype(np.int32) for ends in np.triu_indices(NUM_ITEMS, 1))
    pairs = ItemPairs(heads, tails, rng.integers(1, 5, 300).astype(np.float32), NUM_ITEMS)
    return split_pairs(pairs, SplitOptions("pairs", 0.1, 0.2, ("uniform", "degree_matched"), 0))


def scorer(seed: int) -> VectorScorer:
    vectors = torch.randn(NUM_ITEMS, 4, generator=torch.Generator().manual_seed(seed))
    return VectorScorer(vectors, vectors)


def data_in(folder: Path, split: Split, name: str = "a") -> RunData:
    data = RunData(split)
    data.folders = folder / "catalogs" / name, folder / "splits" / name
    return data


def count_builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever baselines are built."""
    built: list[int] = []
    original = final_test.baseline_scorers

    def count(*given: object) -> object:
        built.append(len(built))
        return original(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(final_test, "baseline_scorers", count)
    return built


def test_the_second_test_builds_no_baseline_and_finds_the_same(
    tmp_path: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = TEST(scorer(0), data_in(tmp_path, split), tmp_path, seed=3)
    built = count_builds(monkeypatch)
    again = TEST(scorer(0), data_in(tmp_path, split), tmp_path, seed=3)
    other = TEST(scorer(1), data_in(tmp_path, split), tmp_path, seed=3)
    alone = TEST(scorer(1), RunData(split), tmp_path, seed=3)
    assert len(built) == 1  # of the data on no disk
    assert json.dumps(first) == json.dumps(again)  # in the same order, too
    assert json.dumps(other) == json.dumps(alone)
    assert first["test/ndcg@10/all"] != other["test/ndcg@10/all"]
    assert first["parameters/ease/penalty"] > 0


def test_another_test_builds_them(
    tmp_path: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    TEST(scorer(0), data_in(tmp_path, split), tmp_path, seed=3)
    built = count_builds(monkeypatch)
    limits = "max_choice_items", "max_ease_items", "max_local_ease_items"
    options = [{"ks": [7]}, {"max_scores": 1e3}, *({name: 9} for name in limits)]
    for change in options:
        test = FinalTest(**({"ks": [5], "max_scores": 4e9, "replicates": 0} | change))
        test(scorer(0), data_in(tmp_path, split), tmp_path, seed=3)
    TEST(scorer(0), data_in(tmp_path, split), tmp_path, seed=4)
    TEST(scorer(0), data_in(tmp_path, split, "b"), tmp_path, seed=3)
    assert len(built) == len(options) + 2


def test_intervals_are_an_option_that_changes_no_baseline(
    tmp_path: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    FinalTest([5], 4e9, 0)(scorer(0), data_in(tmp_path, split), tmp_path, seed=3)
    built = count_builds(monkeypatch)
    found = TEST(scorer(0), data_in(tmp_path, split), tmp_path, seed=3)
    assert not built
    assert found == TEST(scorer(0), RunData(split), tmp_path, seed=3)


def test_a_damaged_folder_is_tested_anew(tmp_path: Path, split: Split) -> None:
    first = TEST(scorer(0), data_in(tmp_path, split), tmp_path, seed=3)
    (file,) = tmp_path.glob("baselines/*/judgements.npz")
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    assert TEST(scorer(0), data_in(tmp_path, split), tmp_path, seed=3) == first
    assert len(file.read_bytes()) == len(whole)


def test_baselines_of_ones_own_are_not_kept(
    tmp_path: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(data: TrainingData) -> AdamicAdar:
        return AdamicAdar(data.pairs)

    monkeypatch.setitem(BASELINES, "mine", Baseline(build, "My own"))
    TEST(scorer(0), data_in(tmp_path, split), tmp_path, seed=3)
    assert not list(tmp_path.glob("baselines/*"))


def test_a_folder_that_cannot_be_written_costs_no_result(
    tmp_path: Path, split: Split, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "baselines").write_text("in the way")
    found = TEST(scorer(0), data_in(tmp_path, split), tmp_path, seed=3)
    assert found == TEST(scorer(0), RunData(split), tmp_path, seed=3)
    assert "the test of the baselines for later runs is left out" in caplog.text


def test_a_folder_that_goes_away_meanwhile_costs_no_result(
    tmp_path: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    def goes_away(folder: Path) -> bool:
        raise FileNotFoundError(2, "No such file or directory", str(folder))

    monkeypatch.setattr(kept_folders, "has_sound_folder", goes_away)
    found = TEST(scorer(0), data_in(tmp_path, split), tmp_path, seed=3)
    assert found == TEST(scorer(0), RunData(split), tmp_path, seed=3)


def test_code_outside_of_the_evaluation_and_libraries_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "catalogs" / "a", tmp_path / "splits" / "a"
    before = kept_baselines(data, [1])
    monkeypatch.setattr("importlib.metadata.version", lambda library: "0")
    kept_folders.code_of_tests.cache_clear()
    versions = kept_baselines(data, [1])
    monkeypatch.setattr(kept_folders, "_ROOMS", ("evaluation",))
    kept_folders.code_of_tests.cache_clear()
    rooms = kept_baselines(data, [1])
    monkeypatch.undo()
    kept_folders.code_of_tests.cache_clear()
    assert len({before, versions, rooms}) == 3
    assert before == kept_baselines(data, [1])


def test_a_mixture_takes_the_parameters_that_were_chosen(tmp_path: Path, split: Split) -> None:
    first = TEST(scorer(0), data_in(tmp_path, split), tmp_path, seed=3)
    known = TEST.known(data_in(tmp_path, split), seed=3)
    chosen = known.findings.parameters
    assert chosen["ease"]["penalty"] == first["parameters/ease/penalty"]
    assert not TEST.known(data_in(tmp_path, split), seed=4).findings.parameters

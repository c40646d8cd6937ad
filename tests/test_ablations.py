"""The article's failures come about when they are asked for, and not otherwise."""

import pytest
import torch

from benchmarks.ablations import (
    growing_catalogue,
    main,
    schedulers,
    side_information,
)
from benchmarks.mistakes import share_missing
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.data.batch import FieldCodes


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_the_metadata_of_another_item_does_harm(planted: PreparedData) -> None:
    rows = side_information(planted, dim=16, epochs=4)
    right = rows["side information"]
    assert right["AUC"] > 0.85
    assert rows["contexts take their center's metadata"]["AUC"] < right["AUC"] - 0.03
    shared = rows["items without metadata share a row"]
    assert shared["cosine without metadata"] > right["cosine without metadata"] + 0.03
    wide = (
        rows[f"{name}, vectors from N(0, 1)"] for name in ("side information", "center's metadata")
    )
    right, wrong = wide
    assert wrong["AUC"] < right["AUC"] - 0.1


def test_whole_table_regularisation_fails_as_the_catalogue_grows(planted: PreparedData) -> None:
    rows = growing_catalogue(planted, dim=16, epochs=5, copies=[1, 6])
    batch, whole = (list(row.values()) for row in rows.values())
    assert list(rows) == ["rows of the batch", "whole table, dense Adam"]
    assert batch[1] > batch[0] - 0.02
    assert whole[0] > 0.75
    assert whole[1] < whole[0] - 0.15


def test_a_scheduler_made_anew_leaves_no_rate(planted: PreparedData) -> None:
    once, anew = schedulers(planted, dim=16, epochs=3).values()
    assert [once[f"rate, epoch {k}"] > 0.01 for k in (1, 2, 3)] == [True, True, True]
    assert [anew[f"rate, epoch {k}"] for k in (2, 3)] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert anew["AUC"] < once["AUC"]


def test_missing_values_become_one_shared_value() -> None:
    """Three items: values 1 and 0, none, value 1."""
    field = FieldCodes(torch.tensor([0, 2, 2, 3]), torch.tensor([1, 0, 1]), 2)
    filled = share_missing(field)
    assert filled.offsets.tolist() == [0, 2, 3, 4]
    assert filled.codes.tolist() == [1, 0, 2, 1]
    assert filled.cardinality == 3


def test_the_command_prints_three_tables(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--items", "300", "--dim", "4", "--epochs", "1", "--copies", "1"])
    text = capsys.readouterr().out
    for title in ("Side information", "A growing catalogue", "Learning rate"):
        assert title in text

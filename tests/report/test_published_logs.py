"""Published figures beside runs on the logs that they were measured on."""

from pathlib import Path
from typing import Any

import pytest

from recsys_lab.report.comparison import compare
from recsys_lab.report.published_logs import PUBLISHED_LOGS, published_for
from recsys_lab.report.summary import summary_text
from recsys_lab.results.run_folder import Run
from recsys_lab.run.board_texts import results_text
from tests.run_folder_cases import metrics

SPLIT = {"by": "leave_one_out", "query": "user", "targets": None, "filter_history": True}


def run_on_beauty(**split: Any) -> Run:
    size = {"data/num_items": 12_101, "data/num_users": 22_363, "data/num_events": 198_502}
    values = metrics(**size, **{"data/query": "user"})
    return Run(Path("run"), {"split": SPLIT | split}, {"model": "skipgram"}, values)


def test_they_stand_in_the_table_of_the_same_data_and_protocol() -> None:
    [table] = compare([run_on_beauty()]).tables
    rows = {entry.title: entry for entry in table.entries if entry.kind == "published"}
    assert rows["SASRec (published)"].values["hr@10/all"].mean == 0.0605
    assert rows["S3-Rec (published)"].values["ndcg@10/all"].mean == 0.0327
    assert table.title.endswith(
        "split by leave_one_out: 12,101 items, 22,363 users, 198,502 events"
    )
    assert any("measured by others" in note for note in table.notes)
    assert any(note.startswith("Test items of users: 90 all") for note in table.notes)


@pytest.mark.parametrize(
    "split",
    [{"filter_history": False}, {"by": "time"}, {"query": "session"}, {"targets": ["purchase"]}],
)
def test_another_protocol_has_none(split: dict[str, Any]) -> None:
    run, other = run_on_beauty(), run_on_beauty(**split)
    assert published_for(run.config, run.metrics) == PUBLISHED_LOGS[0].figures
    assert published_for(other.config, other.metrics) == {}
    assert published_for(run.config, {**run.metrics, "data/num_events": 198_501}) == {}
    [table] = compare([run_on_beauty(**split)]).tables
    assert not table.published


def test_they_stand_in_the_table_at_the_end_of_a_run() -> None:
    run = run_on_beauty()
    text = summary_text(run.metrics, published_for(run.config, run.metrics))
    [row] = [line for line in text.splitlines() if "SASRec," in line]
    assert "0.0605" in row
    assert "0.0318" in row
    assert " - " in row  # AUC, which the paper does not have
    assert "published: measured by others on this log" in text
    assert "published" not in summary_text(run.metrics)
    assert "SASRec" in results_text(run.metrics, published_for(run.config, run.metrics))

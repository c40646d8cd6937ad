"""The table that a run prints at its end."""

import io

from rich.console import Console

from recsys_lab.report.summary import summary_table
from tests.run_folder_cases import cold_metrics, metrics


def test_summary_fits_eighty_columns_with_full_names():
    values = metrics() | {"count/test/query_items/ranked": 1, "count/test/query_items/total": 1}
    for name in ("test", "baseline/common_neighbours"):
        for metric in ("auc/uniform/seen", "auc/degree_matched/seen", "hr@10/all", "hr@50/all"):
            values[f"{name}/{metric}"] = 0.5
        values |= {f"{name}/ndcg@10/all": 0.4, f"{name}/mrr/all": 0.3}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary_table(values))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    names = ("this model", "common neighbours", "Adamic-Adar", "walk proximity")
    assert all(any(f" {name} " in line for line in lines) for name in names)


def test_a_cold_start_run_is_summed_up_by_its_cold_slices():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary_table(cold_metrics(scored=0.4)))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    header = next(line for line in text.splitlines() if "1 cold" in line)
    assert "2 cold" in header
    assert "scored" in header
    assert "70 with one cold end, 20 with two" in text
    ours = next(line for line in text.splitlines() if line.startswith("│ this model"))
    assert "40.0%" in ours
    assert "0.8100" in ours
    assert "content (tf-idf)" in text
    assert "the others take the median score" in text
    assert "can score none" not in text


def test_a_model_that_knows_no_cold_item_is_called_unable():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary_table(cold_metrics(scored=0.0)))
    text = console.export_text()
    assert "this model can score none of them" in text
    ours = next(line for line in text.splitlines() if line.startswith("│ this model"))
    assert "0.81" not in ours
    assert "0.0%" in ours

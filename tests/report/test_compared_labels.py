"""Labels of held-out items in a comparison, from metrics that are written by hand."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from recsys_lab.report.__main__ import main
from recsys_lab.report.compared_labels import labels_of
from recsys_lab.report.comparison import Comparison, Table, compare
from recsys_lab.report.tables import difference_table, to_csv
from recsys_lab.results.run_folder import find_run_folders, read_run
from tests.run_folder_cases import metrics, write_run

_FREQUENT = 0.2  # MRR of the most frequent labels


def label_metrics(field: str, mrr: float) -> dict[str, Any]:
    """As `run.label_test` has them; HR@1 is half of MRR, HR@10 twice as much."""
    values: dict[str, Any] = {"count/items": 632, "count/labels": 1213}
    for name, level in {"model": mrr, "most_frequent": _FREQUENT}.items():
        for metric, factor in (("hr@1", 0.5), ("hr@10", 2.0), ("mrr", 1.0)):
            values |= around(f"{name}/{metric}", factor * level)
            if name != "model":
                values |= around(f"difference/{name}/{metric}", factor * (mrr - level))
    return {f"labels/{field}/{name}": value for name, value in values.items()}


def around(name: str, value: float) -> dict[str, float]:
    return {name: value, f"{name}/low": value - 0.02, f"{name}/high": value + 0.02}


def comparison_of(folder: Path) -> Comparison:
    return compare([read_run(found) for found in find_run_folders([folder])])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two seeds and a worse experiment that rank brands, and one that ranks nothing."""
    for seed, mrr in enumerate((0.3, 0.4)):
        write_run(tmp_path / "runs" / f"a{seed}", seed, metrics(seed) | label_metrics("brand", mrr))
    worse = metrics(0, 0.9) | label_metrics("brand", 0.1) | label_metrics("kind|s", 0.25)
    write_run(tmp_path / "runs" / "b", 0, worse, dim=2)
    write_run(tmp_path / "runs" / "c", 0, metrics(), dim=3)
    return tmp_path / "runs"


@pytest.fixture
def table(folder: Path) -> Table:
    (table,) = comparison_of(folder).tables
    return table


def test_experiments_stand_by_their_mrr_above_the_baselines(table: Table) -> None:
    brands, kinds = sorted(labels_of(table), key=lambda one: one.title)
    assert brands.title == "Labels of 632 held-out items, among 1,213 of brand"
    labels = [entry.label.rpartition(" ")[2] for entry in brands.entries]
    assert labels == ["pairs", "dim=2", "frequent"]
    assert [entry.seeds for entry in brands.entries] == [[0, 1], [0], []]
    assert [column.title for column in brands.columns] == ["HR@1", "HR@10", "MRR"]
    best, _, frequent = brands.entries
    assert [best.write(column) for column in brands.columns] == [
        ("0.1750", "± 0.0354", "[0.1550, 0.1950]"),
        ("0.7000", "± 0.1414", "[0.6800, 0.7200]"),
        ("0.3500", "± 0.0707", "[0.3300, 0.3700]"),
    ]
    assert frequent.write(brands.columns[2]) == ("0.2000", "", "[0.1800, 0.2200]")
    assert brands.is_best(best, brands.columns[2])
    assert [entry.label.rpartition(" ")[2] for entry in kinds.entries] == ["dim=2", "frequent"]


def test_differences_to_the_baselines_are_of_mrr(table: Table) -> None:
    brands = next(one for one in labels_of(table) if one.title.endswith("brand"))
    headers, rows = difference_table(brands)
    assert headers == ["MRR less most frequent"]
    assert [cells for _, cells in rows] == [
        [(["+0.1500 (+75.0%)", "[+0.1300, +0.1700]"], "gain")],
        [(["-0.1000 (-50.0%)", "[-0.1200, -0.0800]"], "loss")],
    ]


def test_baselines_that_differ_are_said(folder: Path) -> None:
    odd = label_metrics("brand", 0.2) | {"labels/brand/most_frequent/mrr": 0.5}
    write_run(folder / "d", 0, metrics() | odd, dim=4)
    (table,) = comparison_of(folder).tables
    notes = [note for one in labels_of(table) for note in one.notes]
    assert [note.partition(" differ")[0] for note in notes] == ["The baselines of d"]


def test_csv_has_labels_beside_the_other_columns(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(comparison_of(folder)))))
    values = {row["label"].rpartition(" ")[2]: row for row in rows}
    assert len(values) == len(rows)
    best, frequent = values["pairs"], values["frequent"]
    assert float(best["ndcg@10/all/mean"]) == 0.25
    ends = [float(best[f"labels/brand/mrr/{end}"]) for end in ("mean", "low", "high")]
    assert ends == pytest.approx([0.35, 0.33, 0.37])
    assert float(values["dim=2"]["labels/kind|s/mrr/mean"]) == 0.25
    assert best["labels/kind|s/mrr/mean"] == values["dim=3"]["labels/brand/mrr/mean"] == ""
    assert frequent["kind"] == "baseline"
    for field in ("brand", "kind|s"):
        assert float(frequent[f"labels/{field}/hr@1/mean"]) == _FREQUENT / 2


def test_pages_show_labels_only_of_runs_that_have_them(folder: Path, tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        write_run(tmp_path / "plain" / name, number, metrics(number))
    pages = []
    for runs, out in ((folder, tmp_path / "labels"), (tmp_path / "plain", tmp_path / "none")):
        assert main([str(runs), "--out", str(out)]) == 0
        pages.append([(out / f"comparison.{form}").read_text() for form in ("md", "html", "csv")])
    (markdown, html, _), without = pages
    assert not any("labels/" in page or "held-out" in page for page in without)
    for title in ("held-out items, among 1,213 of brand", "held-out items, among 1,213 of kind"):
        assert title in markdown
        assert title in html
    assert "| most frequent | – | 0.1000 | 0.4000 | 0.2000 |" in markdown
    assert "| **0.1750 ± 0.0354** | **0.7000 ± 0.1414** | **0.3500 ± 0.0707** |" in markdown
    assert '<td class="loss">-0.1000 (-50.0%)<small>[-0.1200, -0.0800]</small></td>' in html

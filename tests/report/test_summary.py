"""The table that a run prints at its end."""

import io
import re

import pytest
from rich.console import Console

from recsys_lab.report.columns import title_of
from recsys_lab.report.summary import print_summary, summary_table, summary_text
from recsys_lab.results.metric_names import RANKING, SLICES
from tests.run_folder_cases import cold_metrics, metrics

NAMES = ("test", "baseline/mine_and_of_a_very_long_name_with_no_end", "baseline/" + 30 * "Q")


def printed(values):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary_table(values))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    return lines


OF_ITEMS = [metric.name for metric in RANKING if metric.name.endswith(("@10", "@50", "mrr"))][:4]


def everything(values):
    """All that a column is made of, with metrics of plugins, for baselines of long names."""
    metrics = [f"auc/{p}/{s}" for p in ("uniform", "degree_matched") for s in SLICES]
    metrics += ["auc/given/all", *(f"{name}/all" for name in OF_ITEMS), "map/all"]
    metrics += ["a_long_name@10/all"]
    values = values | {f"{name}/coverage/all": 0.5 for name in NAMES}
    return values | {
        f"{name}/{metric}": 0.1 + (10 * number + place) / 10_000
        for number, name in enumerate(NAMES)
        for place, metric in enumerate(metrics)
    }


@pytest.mark.parametrize("is_cold", [False, True])
def test_numbers_stay_whole_with_all_columns_and_long_names(is_cold):
    values = everything(cold_metrics(0.4) if is_cold else metrics())
    lines = printed(values)
    row = next(line for line in lines if line.startswith("│ this model"))
    shown = ["auc/uniform/all", "auc/uniform/one_cold", "auc/uniform/both_cold"]
    shown += ["auc/degree_matched/one_cold", "auc/given/all", "hr@10/all"]
    if not is_cold:
        shown = ["auc/uniform/seen", "auc/degree_matched/seen", "auc/given/all"]
        shown += [f"{name}/all" for name in OF_ITEMS]
    expected = [f"{values[f'test/{metric}']:.4f}" for metric in shown]
    assert re.findall(r"0\.\d{4}", row) == expected
    assert sum(line.count("Q") for line in lines) == 30
    assert "in metrics.json: map, a_long_name@10" in "\n".join(lines)


def test_a_metric_of_a_plugin_gets_a_column_where_there_is_room():
    values = metrics() | {"test/map/all": 0.4321, "baseline/popularity/map/all": 0.1}
    lines = printed(values)
    assert any("MAP" in line for line in lines)
    assert "0.4321" in next(line for line in lines if line.startswith("│ this model"))


def test_summary_fits_eighty_columns_with_full_names():
    values = metrics() | {"count/test/query_items/ranked": 1, "count/test/query_items/total": 1}
    for name in ("test", "baseline/common_neighbours"):
        for metric in ("auc/uniform/seen", "auc/degree_matched/seen", "hr@10/all", "hr@50/all"):
            values[f"{name}/{metric}"] = 0.5
        values |= {f"{name}/ndcg@10/all": 0.4, f"{name}/mrr/all": 0.3}
    lines = printed(values)
    names = ("this model", "common neighbours", "Adamic-Adar", "walk proximity")
    assert all(any(f" {name} " in line for line in lines) for name in names)


def test_a_cold_start_run_is_summed_up_by_its_cold_slices():
    text = "\n".join(printed(cold_metrics(scored=0.4)))
    header = next(line for line in text.splitlines() if "1 cold" in line)
    assert "2 cold" in header
    assert "scored" in header
    assert "70 with one cold end, 20 with two" in text
    model = next(line for line in text.splitlines() if line.startswith("│ this model"))
    assert "40.0%" in model
    assert "0.8100" in model
    assert "content (tf-idf)" in text
    assert "the others take the median score" in text
    assert "cannot score any" not in text


def test_a_model_that_knows_no_cold_item_is_reported():
    text = "\n".join(printed(cold_metrics(scored=0.0)))
    assert "this model cannot score any of them" in text
    model = next(line for line in text.splitlines() if line.startswith("│ this model"))
    assert "0.81" not in model
    assert "0.0%" in model


def test_a_model_no_better_than_chance_is_reported(caplog, capsys):
    measured = {"value": 0.0071, "low": 0.0032, "high": 0.0118, "chance": 0.0082}
    values = metrics() | {f"validation/ndcg@10/all/{x}": v for x, v in measured.items()}
    for x, v in {"value": 0.51, "low": 0.502, "high": 0.52, "chance": 0.5}.items():
        values[f"validation/auc/uniform/seen/{x}"] = v
    assert "no better" not in " ".join(printed(values))
    values["validation/no_better_than"] = "chance"
    text = " ".join(line.strip() for line in printed(values))
    expected = (
        "no better than chance on validation pairs (NDCG@10 0.0071 [0.0032, 0.0118], chance "
        "0.0082): a smaller optimizer.lr or more trainer.max_epochs may help"
    )
    assert expected in text
    print_summary(values)
    assert f"this model is {expected}" in caplog.text
    assert "no better than chance" in capsys.readouterr().out


def test_a_random_order_has_a_row_where_few_items_are_ranked():
    for chance, is_shown in ((0.91, True), (0.001, False)):
        lines = printed(metrics() | {"chance/hr@10/all": chance, "chance/ndcg@10/all": 0.413})
        rows = [line for line in lines if "random order" in line]
        assert bool(rows) == is_shown
        assert not rows or ("0.9100" in rows[0] and "0.4130" in rows[0])


def test_item_vectors_have_a_row_where_they_were_measured():
    assert not any("cosine" in line for line in printed(metrics()))
    lines = printed(
        metrics() | {"item_vectors/hr@10/all": 0.1234, "item_vectors/coverage/all": 1.0}
    )
    row = next(k for k, line in enumerate(lines) if line.startswith("│ vectors, cosine"))
    assert lines[row - 1].startswith("│ this model")
    assert "0.1234" in lines[row]


def test_cut_offs_that_were_asked_for_are_columns():
    values = {name: value for name, value in metrics().items() if "@50" not in name}
    more = {f"{m}@{k}/all": 0.6 + k / 100 for k in (5, 20) for m in ("hr", "ndcg")}
    values |= {
        f"{prefix}/{m}": x for prefix in ("test", "baseline/popularity") for m, x in more.items()
    }
    lines = printed(values)
    header = next(line for line in lines if "HR@5" in line)
    assert header.index("HR@5") < header.index("HR@20") < header.index("NDCG@5")
    row = next(line for line in lines if line.startswith("│ this model"))
    assert row.count("0.6500") == row.count("0.8000") == 2
    assert "in metrics.json: ndcg@10" in "\n".join(lines)
    assert "ranked over the full catalogue" in "\n".join(lines)


def test_titles_of_metrics_are_words_or_abbreviations() -> None:
    titles = [title_of(name) for name in ("hr@10", "ndcg@20", "recall@20", "catalog_coverage@5")]
    assert titles == ["HR@10", "NDCG@20", "Recall@20", "Catalog coverage@5"]


def test_parameters_of_baselines_and_those_that_are_left_out_are_said():
    more = {
        "parameters/walk_proximity/growth": 2.0,
        "parameters/walk_proximity/hub_exponent": 0.75,
        "validation/best_baseline": "adamic_adar",
        "validation/baseline/adamic_adar/ndcg@10": 0.25,
        "left_out/ease": "9 items, the most is 8",
    }
    text = " ".join(summary_text(metrics() | more).split())
    assert "Parameters of baselines: walk proximity growth 2, hub exponent 0.75." in text
    assert "The best baseline on validation is Adamic-Adar (NDCG@10 0.2500)." in text
    assert "The baseline ease is left out: 9 items, the most is 8." in text

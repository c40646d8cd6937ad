"""The table at the end of a run."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from recsys_lab.report.names import baseline_label

_COLUMNS = {
    "AUC": "auc/uniform/seen",
    "AUC dm": "auc/degree_matched/seen",
    "AUC given": "auc/given/all",
    "HR@10": "hr@10/all",
    "HR@50": "hr@50/all",
    "NDCG@10": "ndcg@10/all",
    "MRR": "mrr/all",
}
_COLD_COLUMNS = {  # where most test pairs have an end that training never met
    "AUC": "auc/uniform/all",
    "1 cold": "auc/uniform/one_cold",
    "2 cold": "auc/uniform/both_cold",
    "dm 1 cold": "auc/degree_matched/one_cold",
    "AUC given": "auc/given/all",
    "HR@10": "hr@10/all",
}
_COVERAGE = "coverage/all"
_RANKING = "HR, NDCG, MRR: all pairs, ranked over the full catalogue"
_SEEN_CAPTION = "AUC: seen pairs against uniform negatives; dm: degree-matched negatives"
_COLD_CAPTION = (
    "AUC: all pairs; most of its uniform negatives have no cold end\n"
    "1 cold, 2 cold: positives and negatives with that many cold ends\n"
    "cold: in no training pair; dm: degree-matched negatives"
)
_UNSCORED = (
    "scored: share of the test pairs; the others take the median score in\n"
    "AUC all, the last places in the ranking; where none is scored, no AUC"
)


def summary_table(metrics: Mapping[str, Any]) -> Table:
    """The model above the baselines, the best of each column in bold; fits 80 columns."""
    names = dict.fromkeys(key.split("/")[1] for key in metrics if key.startswith("baseline/"))
    rows = {"this model": "test", **{baseline_label(name): f"baseline/{name}" for name in names}}
    columns = _shown_columns(metrics, list(rows.values()))
    coverage = [metrics.get(f"{prefix}/{_COVERAGE}", 1.0) for prefix in rows.values()]
    shows_coverage = _is_cold(metrics) and any(share != 1.0 for share in coverage)
    table = Table(
        title=_title(metrics),
        caption=_caption(metrics, columns, shows_coverage),
        title_justify="left",
        title_style="",
        caption_justify="left",
        caption_style="",
    )
    table.add_column("", no_wrap=True)
    best = {}
    for title, name in columns.items():
        table.add_column(title, justify="right", no_wrap=True)
        values = [metrics.get(f"{prefix}/{name}") for prefix in rows.values()]
        best[name] = max(value for value in values if value is not None)
    if shows_coverage:
        table.add_column("scored", justify="right", no_wrap=True)
    for (label, prefix), share in zip(rows.items(), coverage, strict=True):
        cells = []
        for name in columns.values():
            value = metrics.get(f"{prefix}/{name}")
            text = "-" if value is None else f"{value:.4f}"
            cells.append(f"[bold]{text}[/bold]" if value == best[name] else text)
        if shows_coverage:
            cells.append("-" if share is None else f"{share:.1%}")
        table.add_row(label, *cells)
    return table


def _shown_columns(metrics: Mapping[str, Any], prefixes: list[str]) -> dict[str, str]:
    """Columns that have a value in some row."""
    columns = _COLD_COLUMNS if _is_cold(metrics) else _COLUMNS
    return {
        title: name
        for title, name in columns.items()
        if any(metrics.get(f"{prefix}/{name}") is not None for prefix in prefixes)
    }


def _is_cold(metrics: Mapping[str, Any]) -> bool:
    return bool(2 * metrics.get("count/test/seen", 0) < metrics.get("count/test/all", 0))


def _title(metrics: Mapping[str, Any]) -> str:
    counts = {
        part: metrics.get(f"count/test/{part}", 0)
        for part in ("all", "seen", "one_cold", "both_cold")
    }
    text = f"{counts['all']:,} test pairs, {counts['seen']:,} with both ends seen in training"
    if _is_cold(metrics):
        text += f",\n{counts['one_cold']:,} with one cold end, {counts['both_cold']:,} with two"
    if metrics.get(f"test/{_COVERAGE}") == 0.0:
        text += "\nthis model can score none of them: it knows nothing of items it never met"
    elif (share := metrics.get(f"test/{_COVERAGE}", 1.0)) != 1.0 and not _is_cold(metrics):
        text += f"\n{share:.2%} of them scored by this model; the others rank last"
    ranked = metrics.get("count/test/query_items/ranked")
    if ranked != metrics.get("count/test/query_items/total"):
        text += f"\nranking from a sample of {ranked:,} queries"
    if "fit/seconds" in metrics:
        text += (
            f"\ntrained in {metrics['fit/seconds']:.1f} s, "
            f"{metrics['fit/items_per_second']:,.0f} items/s"
        )
    return text


def _caption(metrics: Mapping[str, Any], columns: Mapping[str, str], shows_coverage: bool) -> str:
    """What the short headers stand for, of the columns shown."""
    lines = []
    if "AUC" in columns:
        lines.append(_COLD_CAPTION if _is_cold(metrics) else _SEEN_CAPTION)
    if "HR@10" in columns:
        lines.append(_RANKING)
    if shows_coverage:
        lines.append(_UNSCORED)
    return "\n".join(lines)


def print_summary(metrics: Mapping[str, Any]) -> None:
    """Print the table to the console."""
    Console().print(summary_table(metrics))

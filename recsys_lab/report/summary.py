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
_INSTEAD = {  # where no test pair has both ends seen
    "auc/uniform/seen": "auc/uniform/all",
    "auc/degree_matched/seen": "auc/degree_matched/all",
}


def summary_table(metrics: Mapping[str, Any]) -> Table:
    """The model above the baselines, the best of each column in bold; fits 80 columns."""
    names = dict.fromkeys(key.split("/")[1] for key in metrics if key.startswith("baseline/"))
    rows = {"this model": "test", **{baseline_label(name): f"baseline/{name}" for name in names}}
    columns = _shown_columns(metrics, list(rows.values()))
    table = Table(
        title=_title(metrics),
        caption=_caption(columns),
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
    for label, prefix in rows.items():
        cells = []
        for name in columns.values():
            value = metrics.get(f"{prefix}/{name}")
            text = "-" if value is None else f"{value:.4f}"
            cells.append(f"[bold]{text}[/bold]" if value == best[name] else text)
        table.add_row(label, *cells)
    return table


def _shown_columns(metrics: Mapping[str, Any], prefixes: list[str]) -> dict[str, str]:
    """Columns that have a value in some row."""
    seen = metrics.get("count/test/seen") != 0
    columns = _COLUMNS if seen else {t: _INSTEAD.get(n, n) for t, n in _COLUMNS.items()}
    return {
        title: name
        for title, name in columns.items()
        if any(metrics.get(f"{prefix}/{name}") is not None for prefix in prefixes)
    }


def _title(metrics: Mapping[str, Any]) -> str:
    counts = {part: metrics.get(f"count/test/{part}", 0) for part in ("all", "seen")}
    text = f"{counts['all']:,} test pairs, {counts['seen']:,} with both ends seen in training"
    ranked = metrics.get("count/test/query_items/ranked")
    if ranked != metrics.get("count/test/query_items/total"):
        text += f"\nranking from a sample of {ranked:,} queries"
    if "fit/seconds" in metrics:
        text += (
            f"\ntrained in {metrics['fit/seconds']:.1f} s, "
            f"{metrics['fit/items_per_second']:,.0f} items/s"
        )
    return text


def _caption(columns: Mapping[str, str]) -> str:
    """What the short headers stand for, of the columns shown."""
    lines = []
    if "AUC" in columns:
        part = columns["AUC"].rpartition("/")[2]
        lines.append(f"AUC: {part} pairs against uniform negatives; dm: degree-matched negatives")
    if "HR@10" in columns:
        lines.append("HR, NDCG, MRR: all pairs, ranked over the full catalogue")
    return "\n".join(lines)


def print_summary(metrics: Mapping[str, Any]) -> None:
    """Print the table to the console."""
    Console().print(summary_table(metrics))

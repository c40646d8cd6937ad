"""Results for people: the table at the end of a run."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

_COLUMNS = {
    "AUC uniform\nseen": "auc/uniform/seen",
    "AUC uniform\nall": "auc/uniform/all",
    "AUC degree-\nmatched, seen": "auc/degree_matched/seen",
    "AUC given\nall": "auc/given/all",
    "HR@10\nall": "hr@10/all",
    "HR@50\nall": "hr@50/all",
    "NDCG@10\nall": "ndcg@10/all",
    "MRR\nall": "mrr/all",
}


def summary_table(metrics: Mapping[str, Any]) -> Table:
    """The model above the baselines, the best of each column in bold."""
    names = dict.fromkeys(key.split("/")[1] for key in metrics if key.startswith("baseline/"))
    rows = {"this model": "test", **{name: f"baseline/{name}" for name in names}}
    columns = {
        title: name for title, name in _COLUMNS.items() if metrics.get(f"test/{name}") is not None
    }
    table = Table(title=_caption(metrics), title_justify="left", title_style="")
    table.add_column("test pairs")
    best = {}
    for title, name in columns.items():
        table.add_column(title, justify="right")
        values = [metrics.get(f"{prefix}/{name}") for prefix in rows.values()]
        best[name] = max(value for value in values if value is not None)
    for label, prefix in rows.items():
        cells = []
        for name in columns.values():
            value = metrics.get(f"{prefix}/{name}")
            text = "-" if value is None else f"{value:.4f}"
            cells.append(f"[bold]{text}[/bold]" if value == best[name] else text)
        table.add_row(label.replace("_", " "), *cells)
    return table


def _caption(metrics: Mapping[str, Any]) -> str:
    counts = {part: metrics.get(f"count/test/{part}", 0) for part in ("all", "seen")}
    text = f"{counts['all']:,} test pairs, {counts['seen']:,} with both ends seen in training"
    ranked = metrics.get("count/test/query_items/ranked")
    if ranked != metrics.get("count/test/query_items/total"):
        text += f"; ranking from a sample of {ranked:,} queries"
    if "fit/seconds" in metrics:
        text += (
            f"\ntrained in {metrics['fit/seconds']:.1f} s, "
            f"{metrics['fit/items_per_second']:,.0f} items/s"
        )
    return text


def print_summary(metrics: Mapping[str, Any]) -> None:
    """Print the table to the console."""
    Console().print(summary_table(metrics))

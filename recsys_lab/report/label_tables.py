"""The tables of the labels of held-out items at the end of a run."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from recsys_lab.compute.counts import count_of
from recsys_lab.results.metric_names import LABELS

MODEL = "model"
METRICS = {"HR@1": "hr@1", "HR@10": "hr@10", "MRR": "mrr"}
ROWS = {
    MODEL: "this model",
    "most_frequent": "most frequent",
    "nearest_titles": "nearest titles",
    "nearest_items": "nearest items",
}
_CAPTION = (
    "a label is ranked before those that are not true of its item\n"
    "less: MRR of this model less that of the row\n"
    "nearest: labels of training items by tf-idf of titles, of all but labels"
)


def label_tables(metrics: Mapping[str, Any]) -> list[Table]:
    """A table for each field whose values are labels (`run.label_test`)."""
    return [_table(metrics, field) for field in label_fields(metrics)]


def label_fields(metrics: Mapping[str, Any]) -> list[str]:
    """The fields whose labels a run ranks."""
    paths = [key.split("/") for key in metrics if key.startswith(f"{LABELS}/")]
    return list(dict.fromkeys(path[1] for path in paths))


def count_text(metrics: Mapping[str, Any], field: str) -> str:
    """How many items are tested, and among how many labels of the field."""
    items, labels = (metrics[f"{LABELS}/{field}/count/{what}"] for what in ("items", "labels"))
    return f"labels of {count_of(items, 'held-out item')}, among {labels:,} of {field}"


def _table(metrics: Mapping[str, Any], field: str) -> Table:
    prefix = f"{LABELS}/{field}"
    table = Table(title=escape(count_text(metrics, field)), caption=_CAPTION)
    table.title_justify = table.caption_justify = "left"
    table.title_style = table.caption_style = ""
    table.add_column("", overflow="fold")
    for column in (*METRICS, "MRR, 95 %", "less, 95 %"):
        table.add_column(column, justify="right", no_wrap=True)
    rows = [name for name in ROWS if f"{prefix}/{name}/mrr" in metrics]
    best = {m: max(metrics[f"{prefix}/{name}/{m}"] for name in rows) for m in METRICS.values()}
    for name in rows:
        values = {m: metrics[f"{prefix}/{name}/{m}"] for m in METRICS.values()}
        cells = [f"[bold]{x:.4f}[/bold]" if x == best[m] else f"{x:.4f}" for m, x in values.items()]
        bounds = _bounds(metrics, f"{prefix}/{name}/mrr")
        less = _bounds(metrics, f"{prefix}/difference/{name}/mrr")
        table.add_row(ROWS[name], *cells, *map(escape, (bounds, less)))
    return table


def _bounds(metrics: Mapping[str, Any], name: str) -> str:
    """An interval in brackets; empty without one."""
    bounds: Iterable[float | None] = (metrics.get(f"{name}/{end}") for end in ("low", "high"))
    found = [x for x in bounds if x is not None]
    return f"[{found[0]:.3f}, {found[1]:.3f}]" if found else ""

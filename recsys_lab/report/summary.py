"""The table at the end of a run."""

import io
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recsys_lab.compute.counts import count_of
from recsys_lab.report.baseline_facts import baseline_facts
from recsys_lab.report.columns import title_of
from recsys_lab.report.label_tables import label_tables
from recsys_lab.report.names import baseline_labels
from recsys_lab.results.best_metrics import describe_best
from recsys_lab.results.metric_names import (
    ITEM_VECTORS,
    RANKING,
    SLICES,
    USUAL_KS,
    is_cut_off,
    unlisted_metrics,
)
from recsys_lab.results.run_log import write_to_log

log = logging.getLogger(__name__)

Metrics = Mapping[str, Any]
Published = Mapping[str, Mapping[str, float]]

WIDTH = 80  # of the table, at most
_MIN_LABEL = 12  # characters; longer labels go over several lines
_NUMBER = 6  # characters
_FRAME = 3  # characters between two columns
_BOUNDS = ("value", "low", "high", "chance")  # as `evaluation.chance` names them
_SHOWN_CHANCE = 0.05  # hit rate of a random order, from which on it has a row
_AUC_COLUMNS = {
    "AUC": "auc/uniform/seen",
    "AUC dm": "auc/degree_matched/seen",
    "AUC\ngiven": "auc/given/all",
}
_COLD_AUC_COLUMNS = {  # where most test pairs have a cold end
    "AUC": "auc/uniform/all",
    "1 cold": "auc/uniform/one_cold",
    "2 cold": "auc/uniform/both_cold",
    "dm\n1 cold": "auc/degree_matched/one_cold",
    "AUC\ngiven": "auc/given/all",
}
_COVERAGE = "coverage/all"
_RANKING = "HR, NDCG, MRR: all pairs, ranked over the full catalogue"
_PUBLISHED = "published: measured by others on this log with the same split and ranking"
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


def summary_table(metrics: Metrics, published: Published | None = None) -> Table:
    """The model above the baselines, the best of each column in bold; fits `WIDTH` characters.

    Numbers are never cut: long labels are broken into lines, and metrics of plugins that find no
    room are left to `metrics.json`.

    Args:
        metrics: of the run.
        published: what others have on these data, by method and metric.
    """
    labels = baseline_labels(metrics)
    rows = {"test": "this model"}
    if any(name.startswith(f"{ITEM_VECTORS}/") for name in metrics):
        rows[ITEM_VECTORS] = "vectors, cosine"
    rows |= {f"baseline/{name}": label for name, label in labels.items()}
    for method, figures in (published or {}).items():
        prefix = f"published/{method}"
        rows[prefix] = f"{method}, published"
        metrics = {**metrics, **{f"{prefix}/{name}/all": x for name, x in figures.items()}}
    if (metrics.get("chance/hr@10/all") or 0.0) >= _SHOWN_CHANCE:
        rows["chance"] = "random order"
    coverage = [metrics.get(f"{prefix}/{_COVERAGE}", 1.0) for prefix in rows]
    shows_coverage = _is_cold(metrics) and any(share != 1.0 for share in coverage)
    columns, left_out = _shown_columns(metrics, rows, "scored" if shows_coverage else "")
    cells = {}  # the texts of each column, by title
    for title, name in columns.items():
        values = [metrics.get(f"{prefix}/{name}") for prefix in rows]
        best = max(value for value in values if value is not None)
        cells[title] = [_number(value, is_best=value == best) for value in values]
    if shows_coverage:
        cells["scored"] = ["-" if share is None else f"{share:.1%}" for share in coverage]
    caption = _caption(_is_cold(metrics), cells, left_out)
    if published:
        caption += f"\n{_PUBLISHED}"
    for fact in baseline_facts(metrics):
        caption += f"\n{escape(fact)}"
    if warning := chance_warning(metrics):
        caption += f"\n[bold]{escape(warning)}[/bold]"
    table = Table(title=_title(metrics), caption=caption)
    table.title_justify = table.caption_justify = "left"
    table.title_style = table.caption_style = ""
    table.add_column("", overflow="fold")
    for title in cells:
        table.add_column(title, justify="right", no_wrap=True)
    for label, *row in zip(rows.values(), *cells.values(), strict=True):
        table.add_row(escape(label), *row)
    return table


def _number(value: float | None, is_best: bool) -> str:
    text = "-" if value is None else f"{value:.4f}"
    return f"[bold]{text}[/bold]" if is_best else text


def _shown_columns(
    metrics: Metrics, prefixes: Iterable[str], last: str
) -> tuple[dict[str, str], list[str]]:
    """Columns that have a value in some row and find room before `last`, and names without room."""
    columns = _all_columns(metrics)
    room = WIDTH - _MIN_LABEL - _FRAME - 1 - (_column_width(last) if last else 0)
    first = [title for title, name in columns.items() if "/" in name.removesuffix("/all")]  # AUC
    asked = [title for title, name in columns.items() if _is_asked_for(name)]
    shown, left_out = set(), []
    for title in dict.fromkeys([*first, *asked, *columns]):
        name = columns[title]
        if all(metrics.get(f"{prefix}/{name}") is None for prefix in prefixes):
            continue
        if _column_width(title) > room:
            left_out.append(name.removesuffix("/all"))
            continue
        room -= _column_width(title)
        shown.add(title)
    return {title: name for title, name in columns.items() if title in shown}, left_out


def _all_columns(metrics: Metrics) -> dict[str, str]:
    """The metric of each column by its title, in their order; cut-offs of a metric ascend."""
    is_cold = _is_cold(metrics)
    listed = [metric.name for metric in RANKING if metric.is_shown_cold or not is_cold]
    unlisted = unlisted_metrics(metrics)
    bases = list(dict.fromkeys(name.partition("@")[0] for name in listed))
    cut_offs = [name for name in unlisted if is_cut_off(name) and name.partition("@")[0] in bases]
    ranking = sorted([*listed, *cut_offs], key=lambda name: _place(name, bases))
    columns = dict(_COLD_AUC_COLUMNS if is_cold else _AUC_COLUMNS)
    for name in [*ranking, *(name for name in unlisted if not is_cut_off(name))]:
        title = title_of(name)
        title = title if len(title) <= _NUMBER + 1 else title.replace("@", "\n@")
        columns[title] = f"{name}/all"
    return columns


def _place(name: str, bases: list[str]) -> tuple[int, int]:
    base, _, k = name.partition("@")
    return bases.index(base), int(k or 0)


def _is_asked_for(name: str) -> bool:
    """Whether a column is a cut-off of `evaluation.ks` that is not the usual one."""
    metric = name.removesuffix("/all")
    k = metric.partition("@")[2]
    return is_cut_off(metric) and k not in ("", *USUAL_KS)


def _column_width(title: str) -> int:
    return max(_NUMBER, *map(len, title.split("\n"))) + _FRAME


def _is_cold(metrics: Metrics) -> bool:
    return bool(2 * metrics.get("count/test/seen", 0) < metrics.get("count/test/all", 0))


def _title(metrics: Metrics) -> str:
    counts = {part: metrics.get(f"count/test/{part}", 0) for part in SLICES}
    query = metrics.get("data/query")
    text = count_of(counts["all"], "test item" if query else "test pair")
    if query:
        text += f" of {query}s"
    text += f", {counts['seen']:,} {'' if query else 'with both ends '}seen in training"
    if _is_cold(metrics):
        text += f",\n{counts['one_cold']:,} with one cold end, {counts['both_cold']:,} with two"
    if metrics.get(f"test/{_COVERAGE}") == 0.0:
        text += "\nthis model cannot score any of them: it has no vectors of their items"
    elif (share := metrics.get(f"test/{_COVERAGE}", 1.0)) != 1.0 and not _is_cold(metrics):
        text += f"\n{share:.2%} of them scored by this model; the others rank last"
    ranked = metrics.get("count/test/query_items/ranked")
    if ranked != metrics.get("count/test/query_items/total"):
        text += f"\nranking from a sample of {count_of(ranked or 0, 'query')}"
    if "fit/seconds" in metrics:
        speed = metrics["fit/items_per_second"]
        text += f"\ntrained in {metrics['fit/seconds']:.1f} s, {speed:,.0f} items/s"
    return f"{text}\ntested checkpoint: {told}" if (told := describe_best(metrics)) else text


def _caption(is_cold: bool, titles: Iterable[str], left_out: list[str]) -> str:
    """The meaning of the headers that are shown."""
    lines = {
        "AUC": _COLD_CAPTION if is_cold else _SEEN_CAPTION,
        "HR": _RANKING,
        "scored": _UNSCORED,
    }
    kinds = {title.partition("@")[0].strip() for title in titles}
    shown = [line for kind, line in lines.items() if kind in kinds]
    return "\n".join(shown + [f"in metrics.json: {', '.join(left_out)}"] * bool(left_out))


def chance_warning(metrics: Metrics) -> str:
    """That the model is no better than chance, with what was measured and a remedy; else empty."""
    level = metrics.get("validation/no_better_than")
    if level is None or metrics.get(f"test/{_COVERAGE}") == 0.0:  # which the title says
        return ""
    measured = []
    for name in [key.rpartition("/")[0] for key in metrics if key.endswith("/chance")]:
        value, low, high, chance = (metrics[f"{name}/{x}"] for x in _BOUNDS)
        if low <= chance:
            metric, *protocol = name.split("/")[1:-1]
            title = " ".join([metric.upper(), *protocol]).replace("_", "-")
            measured.append(f"{title} {value:.4f} [{low:.4f}, {high:.4f}], chance {chance:.4f}")
    return (
        f"no better than {level} on validation pairs ({'; '.join(measured)}): a smaller "
        "optimizer.lr or more trainer.max_epochs may help"
    )


def summary_text(metrics: Metrics, published: Published | None = None) -> str:
    """The table as plain text."""
    return _text(summary_table(metrics, published))


def _text(table: Table) -> str:
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, legacy_windows=False)
    with console.capture() as text:
        console.print(table)
    return "\n".join(line.rstrip() for line in text.get().splitlines())


def print_summary(metrics: Metrics, published: Published | None = None) -> None:
    """Print the table to the console, and write it to the log of the run.

    A warning goes to the log, too.
    """
    tables = [summary_table(metrics, published), *label_tables(metrics)]
    for table in tables:
        Console().print(table)
    write_to_log("\n".join(["results", *map(_text, tables)]))
    if warning := chance_warning(metrics):
        log.warning("this model is %s", warning)

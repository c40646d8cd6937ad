"""Texts for TensorBoard, as Markdown: results, items with their neighbours, configuration."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import category

import numpy as np
import polars as pl
import yaml
from rich.text import Text

from recsys_lab.report.summary import Published, summary_table
from recsys_lab.vectors.score_form import ScoreTables
from recsys_lab.vectors.search import NO_ROW, empty_lists, finish_lists, merge_scores
from recsys_lab.vectors.store import Content

_ITEMS, _NEIGHBOURS = 10, 5
_BLOCK = 65_536  # items that are compared at a time
_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|>~-])")
_LONGEST = 60  # characters of a title


def results_text(metrics: Mapping[str, Any], published: Published | None = None) -> str:
    """The table at the end of a run, as `summary_table` makes it."""
    table = summary_table(metrics, published)
    rows = zip(*(column.cells for column in table.columns), strict=True)
    parts = [
        _lines(str(table.title)),
        _table([str(c.header) for c in table.columns], [[_cell(str(x)) for x in r] for r in rows]),
        _lines(Text.from_markup(str(table.caption)).plain),
    ]
    return "\n\n".join(parts)


def configuration_text(configuration: Mapping[str, Any]) -> str:
    """The configuration as YAML."""
    text = yaml.safe_dump(dict(configuration), sort_keys=False, allow_unicode=True)
    return "\n".join(f"    {line}" for line in text.splitlines())  # a block of code


def neighbours_text(content: Content) -> str:
    """Ten items, from the most popular to the rarest, with their nearest neighbours.

    They are chosen by popularity alone, so that runs on the same data show the same items.

    Args:
        content: items and vectors of the model.
    """
    scored = np.flatnonzero(content.scored)
    if not len(scored):
        return "The model can score no item."
    order = scored[np.argsort(-content.items["num_pairs"].to_numpy()[scored], kind="stable")]
    places = np.unique(np.linspace(0, len(order) - 1, _ITEMS).round().astype(np.int64))
    items = order[places]
    rows, scores = nearest(content.tables, items, _NEIGHBOURS, content.scored)
    lines = []
    for item, neighbours, values in zip(items, rows, scores, strict=True):
        found = [
            f"{_name(content.items, row)} ({value:.3f})"
            for row, value in zip(neighbours, values, strict=True)
            if row != NO_ROW
        ]
        pairs = f"{content.items['num_pairs'][int(item)]:,}"
        lines.append([_name(content.items, item), pairs, "<br>".join(found)])
    return _table(["item", "training pairs", "nearest neighbours (score)"], lines)


def nearest(
    tables: ScoreTables, items: np.ndarray, k: int, allowed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The k items of the largest scores beside each of a few items, exactly.

    Args:
        tables: of N items; they are compared in blocks, without a copy.
        items: (Q,) rows.
        k: length of the lists.
        allowed: (N,) bool, the items that may be listed.

    Returns:
        rows (Q, k) and scores (Q, k), as of `top_k`; no item is its own neighbour.
    """
    own = tables.take(items)
    best = empty_lists(len(items), k)
    for start in range(0, len(allowed), _BLOCK):
        block = tables.take(slice(start, start + _BLOCK))
        scores = own.queries @ block.keys.T  # (Q, block)
        if tables.both_ways:
            scores = (scores + own.keys @ block.queries.T) / 2
        scores = np.ascontiguousarray(scores + own.bias[:, None] + block.bias, np.float32)
        rows = np.arange(start, start + len(block.bias), dtype=np.int32)
        merge_scores(scores, rows, allowed, items.astype(np.int64), best)
    return finish_lists(best)


def _name(items: pl.DataFrame, row: int) -> str:
    """Title and id of an item."""
    title, item = items["title"][int(row)], items["item"][int(row)]
    return f"{escaped(title)} `{_code(item)}`" if title else f"`{_code(item)}`"


def _code(text: str) -> str:
    return _printable(text).replace("`", "'").replace("|", "\\|")


def escaped(text: str) -> str:
    """A text on one line, cut to sixty characters, without meaning as Markdown or HTML."""
    plain = _printable(text)
    if len(plain) > _LONGEST:
        plain = plain[: _LONGEST - 1] + "…"
    return _MARKS.sub(r"\\\1", plain.replace("&", "&amp;").replace("<", "&lt;"))


def _printable(text: str) -> str:
    """A text on one line, without control characters."""
    spaced = " ".join(text.split())
    return "".join("\N{REPLACEMENT CHARACTER}" if category(x)[0] == "C" else x for x in spaced)


def _cell(markup: str) -> str:
    text = Text.from_markup(markup).plain
    return f"**{text}**" if markup.startswith("[bold]") else escaped(text)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    every = [[" ".join(name.split()) for name in head], ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in every)


def _lines(text: str) -> str:
    """Lines that stay lines; two blanks at the end of one break it."""
    return "  \n".join(
        line.replace("&", "&amp;").replace("<", "&lt;") for line in text.splitlines()
    )

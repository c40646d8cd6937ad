"""A comparison as one HTML page without external files."""

import base64
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from string import Template

from recsys_lab.report.columns import Column
from recsys_lab.report.comparison import Comparison, Entry, Table
from recsys_lab.report.published import CAPTION, HEADERS, PUBLISHED
from recsys_lab.report.tables import (
    DIFFERENCES,
    HOW_TO_READ,
    Picture,
    difference_table,
    write_bounds,
    write_seeds,
)


def to_html(comparison: Comparison, pictures: Sequence[Sequence[Picture]], folder: Path) -> str:
    """The whole comparison, its pictures embedded.

    Args:
        comparison: tables and problems.
        pictures: of each table.
        folder: of the pictures.
    """
    tables = [
        _section(number, table, pictures[number - 1], folder)
        for number, table in enumerate(comparison.tables, start=1)
    ]
    page = Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    return page.substitute(
        how_to_read=escape(HOW_TO_READ),
        tables="\n".join(tables),
        problems=_problems(comparison),
        published=_published(),
    )


def _section(number: int, table: Table, pictures: Sequence[Picture], folder: Path) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    parts = [f"<h2>Table {number}: {escape(table.title)}</h2>", f"<ul>{notes}</ul>"]
    parts.append(_main_table(table))
    headers, rows = difference_table(table)
    if rows:
        body = "".join(
            _row([_cell(label, "name"), *(_difference(*cell) for cell in cells)])
            for label, cells in rows
        )
        parts += [
            "<h3>Against the strong baselines</h3>",
            f'<p class="soft">{escape(DIFFERENCES)}</p>',
            _wrap(_header_row(["experiment", *headers]), body),
        ]
    parts += [_figure(picture, folder) for picture in pictures]
    return "\n".join(parts)


def _main_table(table: Table) -> str:
    columns = table.columns
    groups = [(name, len(list(group))) for name, group in groupby(columns, lambda c: c.group)]
    spans = "".join(f'<th colspan="{span}">{escape(name)}</th>' for name, span in groups)
    head = f'<tr class="groups"><th class="name"></th><th></th>{spans}</tr>'
    head += _header_row(["experiment", "n", *(column.title for column in columns)])
    body = []
    for entry in table.entries:
        cells = [_cell(entry.label, "name"), _cell(write_seeds(entry))]
        cells += [_value(table, entry, column) for column in columns]
        body.append(_row(cells, "baseline" if entry.is_baseline else ""))
    return _wrap(head, "".join(body))


def _value(table: Table, entry: Entry, column: Column) -> str:
    value = entry.values.get(column.key)
    if value is None:
        return _cell(column.write(None))
    inner = escape(column.write(value.mean))
    if value.deviation is not None:
        inner += f"<small>± {escape(column.write(value.deviation))}</small>"
    if bounds := write_bounds(column, value):
        inner += f"<small>{escape(bounds)}</small>"
    return f'<td class="best">{inner}</td>' if table.is_best(entry, column) else f"<td>{inner}</td>"


def _difference(text: str, is_certain: bool) -> str:
    value, _, bounds = text.partition(" [")
    small = f"<small>[{escape(bounds)}</small>" if bounds else ""
    return f'<td class="{"sure" if is_certain else ""}">{escape(value)}{small}</td>'


def _figure(picture: Picture, folder: Path) -> str:
    data = base64.b64encode((folder / picture.name).read_bytes()).decode()
    return (
        f"<h3>{escape(picture.title)}</h3>"
        f'<figure><img alt="{escape(picture.title)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _problems(comparison: Comparison) -> str:
    if not comparison.problems:
        return ""
    body = "".join(
        _row([_cell(name, "text"), _cell(reason, "text")]) for name, reason in comparison.problems
    )
    head = "<h2>Not compared: missing, failed and unequal runs</h2>"
    return head + _wrap(_header_row(["run", "reason"], "text"), body)


def _published() -> str:
    body = "".join(
        _row([_cell(row[0], "name"), _cell(row[1], "text"), *(_cell(text) for text in row[2:])])
        for row in PUBLISHED
    )
    return (
        '<section class="published"><h2>Published figures, on other data</h2>'
        f"<p>{escape(CAPTION)}</p>{_wrap(_header_row(HEADERS), body)}</section>"
    )


def _header_row(titles: Sequence[str], kind: str = "") -> str:
    first = '<th class="name">'
    rest = f'<th class="{kind}">' if kind else "<th>"
    cells = [f"{first if k == 0 else rest}{escape(title)}</th>" for k, title in enumerate(titles)]
    return _row(cells)


def _row(cells: Sequence[str], kind: str = "") -> str:
    return f'<tr class="{kind}">{"".join(cells)}</tr>' if kind else f"<tr>{''.join(cells)}</tr>"


def _cell(text: str, kind: str = "") -> str:
    inner = escape(text)
    if kind:  # long text may break after these characters
        inner = inner.replace("=", "=<wbr>").replace("_", "_<wbr>").replace("/", "/<wbr>")
    return f'<td class="{kind}">{inner}</td>' if kind else f"<td>{inner}</td>"


def _wrap(head: str, body: str) -> str:
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'

"""Rows of a table of edges, each line accounted for: text of usual forms, JSON lines, Parquet."""

from collections.abc import Iterator, Sequence

import numpy as np
import orjson
import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import split_line
from recsys_lab.readers.lines import read_batches
from recsys_lab.readers.opening import find_files
from recsys_lab.readers.table_columns import Sample, find_columns
from recsys_lab.readers.table_form import (
    ATTRIBUTES,
    BOM,
    SAMPLE,
    WEIGHT_AT_END,
    FormOptions,
    TableForm,
    detect_form,
)

_PARQUET_MAGIC = b"PAR1"
_PARQUET_ROWS = 1 << 18


class TableReader:
    """The rows of one table, in batches.

    Args:
        path: a file, a folder of parts, or a pattern.
        options: what the user says about its form.

    Attributes:
        form: what was understood; known after the first batch.
    """

    def __init__(self, path: str, options: FormOptions) -> None:
        self.path = path
        self.form: TableForm | None = None
        self._options = options

    def batches(self) -> Iterator[pl.DataFrame]:
        """Rows with text, source, target, cell, type and reason, one for each line.

        `text` is the line, `cell` the text of the weight or label, null where there is no such
        column; `reason` is why a line is no row, null where it is one.

        Raises:
            CatalogError: the file cannot be read, or its form cannot be told.
        """
        files = find_files(self.path)
        with open(files[0], "rb") as file:
            is_parquet = file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
        if is_parquet:
            yield from self._parquet(files)
            return
        is_json = None
        for batch in read_batches(self.path):
            lines = pl.Series("line", batch, dtype=pl.Binary)
            text = _decode(lines).str.strip_prefix(BOM)
            begins = self.form is None
            if self.form is None:
                known = text.drop_nulls().head(2 * SAMPLE).to_list()
                if not any(line.strip() for line in known):
                    yield _take_apart(
                        lines, text, TableForm("\t", 2, {"source": 0, "target": 1}), ""
                    )
                    continue
                is_json = _is_json(known)
                self.form = (_json_form if is_json else detect_form)(
                    known, self.path, self._options
                )
            if is_json:
                yield _take_json(lines, text, self.form)
            else:
                skipped = self.form.skipped if begins else 0
                yield _take_apart(lines, text, self.form, self._options.comment or "", skipped)

    def _parquet(self, files: Sequence[str]) -> Iterator[pl.DataFrame]:
        for path in files:
            try:
                table = pl.scan_parquet(path)
                names = table.collect_schema().names()
                count = table.select(pl.len()).collect().item()
            except (OSError, pl.exceptions.PolarsError) as error:
                raise CatalogError(f"{path} cannot be read as Parquet ({error})") from error
            for start in range(0, count, _PARQUET_ROWS):
                rows = table.slice(start, _PARQUET_ROWS).collect()
                if self.form is None:
                    self.form = _parquet_form(rows, names, self.path, self._options)
                yield _take_columns(rows, [names[k] for k in self.form.roles.values()], self.form)


def _decode(lines: pl.Series) -> pl.Series:
    """The lines as text; null where a line is no UTF-8."""
    try:
        return lines.cast(pl.String)
    except pl.exceptions.ComputeError:  # somewhere in the batch: look at each line
        decoded = [None if line is None else _decode_line(line) for line in lines]
        return pl.Series(lines.name, decoded, dtype=pl.String)


def _decode_line(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


# -- text ----------------------------------------------------------------------------------------


def _take_apart(
    lines: pl.Series, text: pl.Series, form: TableForm, comment: str, skipped: int = 0
) -> pl.DataFrame:
    cells = pl.col("fields").list
    plain = text
    if form.attributes:
        plain = text.str.replace(WEIGHT_AT_END, " ${1}").str.replace(ATTRIBUTES, "")
    frame = pl.DataFrame({"line": lines, "text": text, "fields": _fields(plain, form)})
    columns = {
        role: cells.get(form.roles[role], null_on_oob=True)
        if role in form.roles
        else pl.lit(None, pl.String)
        for role in ("source", "target", "weight", "type")
    }
    frame = frame.with_columns(**columns, place=pl.int_range(pl.len()))
    is_blank = pl.col("text").str.strip_chars() == ""
    checks: list[tuple[str, pl.Expr]] = [
        ("too long", pl.col("line").is_null()),
        ("not UTF-8", pl.col("text").is_null()),
        ("malformed", pl.col("text").str.contains("\0", literal=True)),
        ("blank", is_blank),
        ("comment", pl.col("place") < skipped),
        ("header", pl.lit(form.header is not None) & (pl.col("text") == (form.header or ""))),
        ("malformed", pl.col("fields").is_null()),
        ("wrong number of columns", cells.len() != form.num_columns),
    ]
    if comment:
        checks.insert(3, ("comment", pl.col("text").str.starts_with(comment)))
    return _finish(frame, form, checks)


def _finish(
    frame: pl.DataFrame, form: TableForm, checks: Sequence[tuple[str, pl.Expr]] = ()
) -> pl.DataFrame:
    """Clean the cells, and give each line the first reason that holds for it."""
    if form.stripped:
        frame = frame.with_columns(pl.col("source", "target").str.strip_chars())
    cell = pl.col("weight").str.strip_chars()
    if form.decimal_comma:
        cell = cell.str.replace(",", ".", literal=True)
    no_id = pl.col("source").fill_null("") == ""
    every = [*checks, ("no id", no_id | (pl.col("target").fill_null("") == ""))]
    reason = pl.coalesce(pl.when(test).then(pl.lit(name)) for name, test in every)
    return frame.select("text", "source", "target", "type", cell=cell, reason=reason)


def _fields(text: pl.Series, form: TableForm) -> pl.Series:
    """The cells of every line; null where there are none."""
    if form.separator == " ":
        text = text.str.replace_all(r"\s+", " ").str.strip_chars()
    fields = text.str.split(form.separator)
    if form.quoted:
        quoted = text.str.contains('"', literal=True).fill_null(False).arg_true()
        if len(quoted):
            rows = [split_line(line, form.separator, quoted=True) for line in text.gather(quoted)]
            rows_of = np.arange(len(text))
            rows_of[quoted.to_numpy()] = len(text) + np.arange(len(rows))
            fields = pl.concat([fields, pl.Series(rows, dtype=pl.List(pl.String))]).gather(rows_of)
    return fields


# -- JSON lines ----------------------------------------------------------------------------------


def _is_json(lines: Sequence[str]) -> bool:
    first = next(line for line in lines if line.strip())
    return first.lstrip()[:1] in ("{", "[") and isinstance(_parse(first), list | dict)


def _parse(line: str | None) -> object:
    try:
        return orjson.loads(line or "null")
    except ValueError:
        return None


def _json_form(lines: Sequence[str], path: str, options: FormOptions) -> TableForm:
    values = [value for line in lines if isinstance(value := _parse(line), list | dict)][:SAMPLE]
    keys = list(values[0]) if isinstance(values[0], dict) else []
    rows = [_cells_of(value, keys) for value in values]
    sample = Sample(path, lines, [keys, *rows] if keys else rows, "JSON values")
    found = find_columns(sample, options.columns)
    said = f"JSON lines of {', '.join(keys)}" if keys else f"JSON lists of {found.num_columns}"
    header = orjson.dumps(keys).decode() if keys else None
    return TableForm(
        "json", found.num_columns, found.roles, header=header,
        said=f"{said}; first edge {found.first_edge}", warnings=found.warnings,
    )  # fmt: skip


def _cells_of(value: object, keys: Sequence[str]) -> list[str]:
    found = [value.get(key) for key in keys] if isinstance(value, dict) else value
    return [_text_of(x) for x in found] if isinstance(found, list) else []


def _text_of(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value).decode()


def _take_json(lines: pl.Series, text: pl.Series, form: TableForm) -> pl.DataFrame:
    keys = orjson.loads(form.header) if form.header else []
    values = [_parse(line) for line in text]
    rows = [_cells_of(value, keys) for value in values]
    wanted = {
        role: [
            row[form.roles[role]] if role in form.roles and len(row) == form.num_columns else None
            for row in rows
        ]
        for role in ("source", "target", "weight", "type")
    }
    frame = pl.DataFrame(
        {"line": lines, "text": text, "sound": [len(row) == form.num_columns for row in rows]}
        | {name: pl.Series(column, dtype=pl.String) for name, column in wanted.items()}
    )
    checks = [
        ("too long", pl.col("line").is_null()),
        ("not UTF-8", pl.col("text").is_null()),
        ("blank", pl.col("text").str.strip_chars() == ""),
        ("malformed", pl.Series([not isinstance(v, list | dict) for v in values])),
        ("wrong number of columns", ~pl.col("sound")),
    ]
    return _finish(frame, form, checks)  # type: ignore[arg-type]


# -- Parquet -------------------------------------------------------------------------------------


def _parquet_form(
    rows: pl.DataFrame, names: Sequence[str], path: str, options: FormOptions
) -> TableForm:
    head = _as_text(rows.head(SAMPLE))
    cells = [[cell or "" for cell in row] for row in head.rows()]
    sample = Sample(path, [", ".join(names)], [list(names), *cells], "Parquet columns")
    found = find_columns(sample, options.columns)
    return TableForm(
        "parquet", found.num_columns, found.roles,
        said=f"Parquet of {', '.join(names)}; first edge {found.first_edge}",
        warnings=found.warnings,
    )  # fmt: skip


def _as_text(rows: pl.DataFrame) -> pl.DataFrame:
    """Cells as text; ids that are whole numbers in columns of floats lose their `.0`."""
    floats = [
        name
        for name, kind in rows.schema.items()
        if kind.is_float() and (rows[name].drop_nulls() % 1 == 0).all()
    ]
    return rows.with_columns(pl.col(floats).cast(pl.Int64)).cast(pl.String)


def _take_columns(rows: pl.DataFrame, names: Sequence[str], form: TableForm) -> pl.DataFrame:
    text = _as_text(rows.select(list(dict.fromkeys(names))))
    columns = dict(zip(form.roles, names, strict=True))
    frame = text.select(
        (pl.col(columns[role]) if role in columns else pl.lit(None, pl.String)).alias(role)
        for role in ("source", "target", "weight", "type")
    )
    return _finish(
        frame.with_columns(
            text=pl.concat_str("source", "target", separator=", ", ignore_nulls=True)
        ),
        form,
    )

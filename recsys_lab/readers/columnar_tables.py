"""Edges in files of columns: Parquet and Arrow."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.opening import find_files
from recsys_lab.readers.table_columns import Sample, find_columns, say_ignored
from recsys_lab.readers.table_form import SAMPLE, FormOptions, TableForm
from recsys_lab.readers.table_rows import CELLS, finish_rows

_KINDS = {b"PAR1": "Parquet", b"ARROW1": "Arrow"}  # by first bytes
BATCH_ROWS = 1 << 18


def kind_of(path: str) -> str:
    """The kind of file by its first bytes; empty for any other, or a pipe."""
    if not Path(path).is_file():
        return ""
    with open(path, "rb") as file:
        begin = file.read(64)
    is_text = not any(byte < 9 for byte in begin)  # an id may begin so
    return "" if is_text else next((k for m, k in _KINDS.items() if begin.startswith(m)), "")


class ColumnarTable:
    """The rows of one or several files of one kind.

    Attributes:
        form: what was understood; known after the first batch.
    """

    def __init__(self, path: str, files: Sequence[str], kind: str, options: FormOptions) -> None:
        self.form: TableForm | None = None
        self._path, self._files, self._kind, self._options = path, files, kind, options

    def batches(self) -> Iterator[pl.DataFrame]:
        """Rows as `finish_rows` gives them.

        Raises:
            CatalogError: a file cannot be read, or has no columns of items.
        """
        before, columns = 0, None
        scan = pl.scan_parquet if self._kind == "Parquet" else pl.scan_ipc
        for path in self._files:
            try:
                table = scan(path)
                schema = table.collect_schema()
                count = table.select(pl.len()).collect().item()
                if self.form is None:
                    self.form = self._form(table.head(SAMPLE).collect(), schema)
                    columns = [schema.names()[k] for k in self.form.roles.values()]
                if absent := [name for name in columns or [] if name not in schema]:
                    raise CatalogError(
                        f"{path} has no column {absent[0]}, as the files before it have; it has "
                        f"{', '.join(schema)}: give files of one table"
                    )
                for start in range(0, count, BATCH_ROWS):
                    rows = table.select(columns or []).slice(start, BATCH_ROWS).collect()
                    yield _take_columns(rows, columns or [], self.form, before)
                    before += len(rows)
            except (OSError, pl.exceptions.PolarsError) as error:
                reason = str(error).splitlines()[0]
                raise CatalogError(
                    f"{path} cannot be read as {self._kind} ({reason}); write it anew"
                ) from error
        if not before:
            raise CatalogError(
                f"{self._path} is {self._kind} without a row: give a file with pairs"
            )

    def _form(self, rows: pl.DataFrame, schema: pl.Schema) -> TableForm:
        nested = [name for name, kind in schema.items() if kind.is_nested()]
        plain = [name for name in schema if name not in nested]
        if len(plain) < 2:
            hint = (
                f": {nested[0]} holds lists or structs; write a row for each pair, in polars with "
                f"explode({nested[0]!r}) or unnest({nested[0]!r}); lists of items of users are "
                "read by catalog=events"
                if nested
                else ": give two"
            )
            raise CatalogError(
                f"{self._path} has no two columns of ids, it has {', '.join(schema)}{hint}"
            )
        head = as_text(rows.with_columns(pl.lit("").alias(name) for name in nested))
        cells = [[cell or "" for cell in row] for row in head.rows()]
        names = schema.names()
        sample = Sample(self._path, [", ".join(names)], [names, *cells], f"{self._kind} columns")
        found = find_columns(sample, self._options.columns)
        places = ", ".join(f"{role} {names[k]}" for role, k in found.roles.items())
        ignored = say_ignored([x for k, x in enumerate(names) if k not in found.roles.values()])
        return TableForm(
            "columns", found.num_columns, found.roles, users_items=found.users_items,
            said=f"{self._kind} of {', '.join(names)} ({places}{'; ' if ignored else ''}{ignored})"
            f"; first edge {found.first_edge}",
            warnings=found.warnings,
        )  # fmt: skip


def as_text(rows: pl.DataFrame) -> pl.DataFrame:
    """Cells as text; whole numbers in columns of floats lose their `.0`, and NaN is no cell."""
    rows = rows.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
    floats = [
        name
        for name, kind in rows.schema.items()
        if kind.is_float() and (rows[name].drop_nulls() % 1 == 0).all()
    ]
    return rows.with_columns(pl.col(floats).cast(pl.Int64)).cast(pl.String)


def _take_columns(
    rows: pl.DataFrame, names: Sequence[str], form: TableForm, before: int
) -> pl.DataFrame:
    text = as_text(rows.select(list(dict.fromkeys(names))))
    columns = dict(zip(form.roles, names, strict=True))
    frame = text.select(
        (pl.col(columns[role]) if role in columns else pl.lit(None, pl.String)).alias(role)
        for role in CELLS
    )
    return finish_rows(
        frame.with_columns(
            text=pl.concat_str("source", "target", separator=", ", ignore_nulls=True),
            number=pl.int_range(before + 1, before + 1 + pl.len()),
        ),
        form,
    )


def read_whole(path: str) -> pl.DataFrame | None:
    """The table of a path, where its files are of columns; None for others.

    Raises:
        CatalogError: a file cannot be read.
    """
    files = find_files(path)
    if not (kind := kind_of(files[0])):
        return None
    read = pl.read_parquet if kind == "Parquet" else pl.read_ipc
    try:
        return pl.concat([read(file) for file in files])
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CatalogError(f"{path} cannot be read as {kind} ({error}); write it anew") from error


def read_slices(path: str, num_rows: int) -> Iterator[pl.DataFrame] | None:
    """The rows of `read_whole`, so many at a time."""
    files = find_files(path)
    kind = kind_of(files[0])
    return _slices(files, kind, num_rows) if kind else None


def _slices(files: Sequence[str], kind: str, num_rows: int) -> Iterator[pl.DataFrame]:
    scan = pl.scan_parquet if kind == "Parquet" else pl.scan_ipc
    for file in files:
        try:
            table = scan(file)
            for start in range(0, table.select(pl.len()).collect().item(), num_rows):
                yield table.slice(start, num_rows).collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0]
            raise CatalogError(
                f"{file} cannot be read as {kind} ({reason}); write it anew"
            ) from error

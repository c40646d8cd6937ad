"""Some columns of a table by name or place, each line accounted for: text, JSON, Parquet, Arrow.

What the columns mean is not known here: `choose` is given their names and says which are read.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from recsys_lab.readers.account import CatalogError, ReadAccount
from recsys_lab.readers.cells import has_header, split_line
from recsys_lab.readers.columnar_tables import BATCH_ROWS, as_text, kind_of
from recsys_lab.readers.encodings import decode_lines
from recsys_lab.readers.json_tables import begins_document, document_lines, is_json, parse
from recsys_lab.readers.line_fields import split_lines
from recsys_lab.readers.line_reasons import BAD_LINES, checks_of_lines, with_reasons
from recsys_lab.readers.lines import begin, read_batches, read_chunks
from recsys_lab.readers.list_cells import (
    are_lists,
    is_row,
    text_of,
    with_lists_of_fields,
    without_lists_of_structs,
)
from recsys_lab.readers.opening import find_files
from recsys_lab.readers.table_columns import say_ignored
from recsys_lab.readers.table_form import (
    BOM,
    SAMPLE,
    SEPARATORS,
    likely_separator,
    refuse_breaks,
)

_NULLS = ("", r"\N")
_BLOCKS = 8  # of about a megabyte, taken apart at a time
_ROWS_OF_LISTS = BATCH_ROWS >> 4
Choose = Callable[[Sequence[str] | None, int, Collection[int]], Mapping[str, int]]


class NamedColumns:
    """Some columns of one table.

    Args:
        path: a file, a folder of parts, or a pattern.
        choose: of the names of the columns (None: the file has no header), their number, and the
            places of those that hold lists, the places of those that are read, by role. Raises
            CatalogError where it cannot say.
        has_lists: whether lists of objects are taken apart, into a list for each of their fields.

    Attributes:
        names: of all columns; None without a header.
        roles: what `choose` gave.
        said: the form of the file.
        remedies: what to do about lines that cannot be used, by the reason.
    """

    def __init__(self, path: str, choose: Choose, *, has_lists: bool = False) -> None:
        self.path = path
        self.names: Sequence[str] | None = None
        self.roles: Mapping[str, int] = {}
        self.said = ""
        self.remedies: dict[str, str] = {}
        self._choose, self._has_lists = choose, has_lists
        self._form: _TextForm | None = None

    def batches(self) -> Iterator[pl.DataFrame]:
        """Rows with number (of the line), reason, digest (of the line) and a column for each role.

        `reason` is why a line is no row, null where it is one. Cells are text, in files of columns
        of their own type; null where there is nothing.

        Raises:
            CatalogError: the file cannot be read, or its columns cannot be told.
        """
        files = find_files(self.path)
        if kind := kind_of(files[0]):
            yield from self._columnar(files, kind)
            return
        before = 0
        for path in files:
            first, blocks = begin(path)
            if not first and len(files) > 1:
                continue  # an empty part, as Spark writes them
            if self._begins_document(first):
                batches = self._document(path, read_chunks(path, blocks), before)
            else:
                batches = self._lines(path, blocks, before)
            for rows in batches:
                before += len(rows)
                yield rows
        if not before:
            raise CatalogError(f"{self.path} has empty files only; give one with a row")

    def _begins_document(self, first: bytes) -> bool:
        line = first.removeprefix(BOM.encode()).strip()
        return begins_document(first) and not (self._has_lists and is_row(line))

    def sound_rows(
        self, needed: str, account: ReadAccount, max_bad_fraction: float
    ) -> Iterator[pl.DataFrame]:
        """The rows whose cell of the role `needed` is not empty, all as text.

        Raises:
            CatalogError: as of `batches`, or too many lines are bad.
        """
        first_bad = 0
        for rows in self.batches():
            frame = rows.with_columns(cells_as_text(rows[role]).alias(role) for role in self.roles)
            if self.roles:
                none = pl.when(pl.col(needed).is_null()).then(pl.lit(f"no {needed}"))
                frame = frame.with_columns(reason=pl.coalesce("reason", none))
            account.lines += len(frame)
            account.dropped.update(dict(frame["reason"].drop_nulls().value_counts().iter_rows()))
            bad = frame.filter(pl.col("reason").is_in([*BAD_LINES, f"no {needed}"]))
            first_bad = first_bad or (bad["number"][0] if len(bad) else 0)
            kept = frame.filter(pl.col("reason").is_null())
            account.kept += len(kept)
            yield kept.select(*self.roles)
        bad_lines = (*BAD_LINES, f"no {needed}")
        account.refuse_bad(
            self.path, bad_lines, max_bad_fraction, first_bad, "", self.said, self.remedies
        )

    def name(self, role: str) -> str:
        """The name of the column of a role, or its place."""
        place = self.roles[role]
        return f"column {place + 1}" if self.names is None else self.names[place]

    def _take(
        self, names: Sequence[str] | None, width: int, form: str, lists: Collection[int]
    ) -> None:
        self.names = names
        self.roles = self._choose(names, width, lists)
        places = ", ".join(f"{role} {self.name(role)}" for role in self.roles)
        left = [x for place, x in enumerate(names or ()) if place not in self.roles.values()]
        self.said = f"{form} ({places}{'; ' if left else ''}{say_ignored(left)})"

    # -- files of columns ------------------------------------------------------------------------

    def _columnar(self, files: Sequence[str], kind: str) -> Iterator[pl.DataFrame]:
        scan = pl.scan_parquet if kind == "Parquet" else pl.scan_ipc
        before = 0
        for path in files:
            try:
                table = scan(path)
                empty = self._flat(table.head(0).collect())
                names = empty.columns
                if self.names is None:
                    lists = {k for k, cells in enumerate(empty) if are_lists(cells)}
                    self._take(names, len(names), kind, lists)
                if absent := [x for x in map(self.name, self.roles) if x not in names]:
                    raise CatalogError(_other_columns(path, absent[0], names))
                count = table.select(pl.len()).collect().item()
                are_long = any(are_lists(empty[self.name(role)]) for role in self.roles)
                step = _ROWS_OF_LISTS if are_long else BATCH_ROWS
                for start in range(0, count, step):
                    rows = self._flat(table.slice(start, step).collect())
                    yield self._rows_of(rows, before + start)
                before += count
            except (OSError, pl.exceptions.PolarsError) as error:
                reason = str(error).splitlines()[0]
                raise CatalogError(
                    f"{path} cannot be read as {kind} ({reason}); write it anew"
                ) from error
        if not before:
            raise CatalogError(f"{self.path} is {kind} without a row: give a file with rows")

    def _flat(self, rows: pl.DataFrame) -> pl.DataFrame:
        return without_lists_of_structs(rows) if self._has_lists else rows

    def _rows_of(self, rows: pl.DataFrame, before: int) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "number": pl.int_range(before + 1, before + 1 + len(rows), eager=True),
                "reason": pl.repeat(None, len(rows), dtype=pl.String, eager=True),
                "digest": rows.hash_rows(),
            }
            | {role: rows[self.name(role)] for role in self.roles}
        )

    # -- JSON ------------------------------------------------------------------------------------

    def _document(self, path: str, chunks: Iterator[bytes], before: int) -> Iterator[pl.DataFrame]:
        for lines in document_lines(chunks, path, quoting=False):
            text = pl.Series(lines, dtype=pl.String)
            yield self._take_json(text, text, before)
            before += len(lines)

    def _take_json(self, lines: pl.Series, text: pl.Series, before: int) -> pl.DataFrame:
        values = [parse(line) for line in text]
        if self._has_lists:
            values = [with_lists_of_fields(value) for value in values]
        if not self.roles:
            self._begin_json(values)
        keys = self.names
        rows = [_cells_of(value, keys) for value in values]
        columns = {
            role: pl.Series(
                [None if row is None or place >= len(row) else text_of(row[place]) or None
                 for row in rows], dtype=pl.String,
            )
            for role, place in self.roles.items()
        }  # fmt: skip
        is_value = pl.Series([value is not None for value in values], dtype=pl.Boolean)
        is_row = pl.Series([row is not None for row in rows], dtype=pl.Boolean)
        checks = [
            ("too long", lines.is_null()),
            ("not UTF-8", text.is_null()),
            ("blank", text.str.strip_chars() == ""),
            ("malformed", ~is_value),
            ("neither an object nor a list", ~is_row),
        ]
        return with_reasons(text, columns, checks, before)

    def _begin_json(self, values: Sequence[Any]) -> None:
        known = [value for value in values if isinstance(value, list | dict)][:SAMPLE]
        keys = list(dict.fromkeys(k for v in known if isinstance(v, dict) for k in v))
        width = len(keys) or max(map(len, known), default=0)
        rows = [row for value in known if (row := _cells_of(value, keys or None)) is not None]
        lists = {k for row in rows for k, cell in enumerate(row) if isinstance(cell, list)}
        self._take(keys or None, width, "JSON objects" if keys else "JSON lists", lists)

    # -- text ------------------------------------------------------------------------------------

    def _lines(self, path: str, blocks: Iterator[bytes], before: int) -> Iterator[pl.DataFrame]:
        form: _TextForm | None = None
        is_lines_of_json = False
        for batch in _larger(read_batches(path, blocks=blocks)):
            lines = pl.Series(batch, dtype=pl.Binary)
            text, remedy = decode_lines(lines)
            if remedy:
                self.remedies.setdefault("not UTF-8", remedy)
            text = text.str.strip_prefix(BOM)
            begins = form is None and not is_lines_of_json
            if begins and (sample := _first_of(text)):
                is_lines_of_json = is_json(sample)
                form = None if is_lines_of_json else self._form_of(path, sample)
            if is_lines_of_json:
                yield self._take_json(lines, text, before)
            elif form is None:
                yield with_reasons(text, {}, checks_of_lines(lines, text), before)
            else:
                yield self._take_text(lines, text, form, before)
            before += len(batch)

    def _form_of(self, path: str, sample: Sequence[str]) -> "_TextForm":
        """The form of a file; of later ones that of the first, or, with a header, by its names.

        Raises:
            CatalogError: a later file has other columns.
        """
        if self._form is None:
            self._form = self._begin_text(sample)
            return self._form
        separator = likely_separator(sample)
        names = [cell.strip() for cell in split_line(sample[0], separator, quoted=True) or []]
        if self.names is None or 2 * len({*names} & {*self.names}) < len(self.names):
            return self._form
        if absent := [x for x in map(self.name, self.roles) if x not in names]:
            raise CatalogError(_other_columns(path, absent[0], names))
        places = {role: names.index(self.name(role)) for role in self.roles}
        return _TextForm(separator, len(names), sample[0], places)

    def _begin_text(self, sample: Sequence[str]) -> "_TextForm":
        refuse_breaks(sample, self.path, quoting=False)
        separator = likely_separator(sample)
        rows = [split_line(line, separator, quoted=True) or [] for line in sample]
        header = rows[0] if has_header(rows) else None
        names = None if header is None else [cell.strip() for cell in header]
        form = f"text between {SEPARATORS[separator]}"
        form = form if names else f"{form} without a header"
        below = [row for row in rows[names is not None :] if len(row) == len(rows[0])]
        columns = [pl.Series(cells, dtype=pl.String) for cells in zip(*below, strict=True)]
        lists = {k for k, cells in enumerate(columns) if are_lists(cells)}
        self._take(names, len(rows[0]), form, lists)
        line = None if header is None else sample[0]
        return _TextForm(separator, len(rows[0]), line, self.roles)

    def _take_text(
        self, lines: pl.Series, text: pl.Series, form: "_TextForm", before: int
    ) -> pl.DataFrame:
        fields = split_lines(text, form.separator, quoted=True)
        columns = {
            role: fields.list.get(form.places[role], null_on_oob=True).str.strip_chars()
            for role in self.roles
        }
        columns = {role: cells.set(cells.is_in(_NULLS), None) for role, cells in columns.items()}
        checks = [
            *checks_of_lines(lines, text),
            ("header", text == form.header if form.header is not None else text.is_null()),
            ("malformed", fields.is_null()),
            ("wrong number of columns", fields.list.len() != form.width),
        ]
        return with_reasons(text, columns, checks, before)


class _TextForm(NamedTuple):
    """How the lines of a file of text are taken apart."""

    separator: str
    width: int
    header: str | None
    places: Mapping[str, int]  # of the columns that are read, by role


def _other_columns(path: str, absent: str, names: Sequence[str]) -> str:
    return (
        f"{path} has no column {absent}, as the files before it have; it has "
        f"{', '.join(names)}: give files of one table"
    )


def _larger(batches: Iterator[list[bytes | None]]) -> Iterator[list[bytes | None]]:
    """Some batches of lines as one."""
    held: list[bytes | None] = []
    for number, batch in enumerate(batches, 1):
        held += batch
        if number % _BLOCKS == 0:
            yield held
            held = []
    if held:
        yield held


def _first_of(text: pl.Series) -> list[str]:
    return [line for line in text.drop_nulls().head(2 * SAMPLE) if line.strip()][:SAMPLE]


def _cells_of(value: Any, keys: Sequence[str] | None) -> list[Any] | None:
    """The cells of one line of JSON; None where it is no row."""
    if isinstance(value, dict):
        return None if keys is None else [value.get(key) for key in keys]
    return value if isinstance(value, list) and keys is None else None


def cells_as_text(cells: pl.Series) -> pl.Series:
    """Cells of any type as text; lists as their values between bars, nothing as null."""
    if isinstance(cells.dtype, pl.List | pl.Array):
        inner = cells.cast(pl.List(pl.String))
        return inner.list.join("|")
    text = cells if cells.dtype == pl.String else as_text(cells.to_frame()).to_series()
    return text.set((text == "").fill_null(False), None) if (text == "").any() else text

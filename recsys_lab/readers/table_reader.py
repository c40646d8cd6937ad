"""Rows of a table of edges, each line accounted for: text of usual forms, JSON, Parquet, Arrow."""

from collections.abc import Iterator

import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.columnar_tables import ColumnarTable, kind_of
from recsys_lab.readers.counts_on_top import fit_lines, refuse_counts
from recsys_lab.readers.edge_attributes import without_attributes
from recsys_lab.readers.encodings import decode_lines
from recsys_lab.readers.json_tables import (
    begins_document,
    document_lines,
    is_json,
    json_form,
    take_json,
)
from recsys_lab.readers.line_fields import split_lines
from recsys_lab.readers.lines import begin, full_parts, read_batches, read_chunks
from recsys_lab.readers.opening import BLOCK_BYTES, find_files
from recsys_lab.readers.part_beginnings import begin_part
from recsys_lab.readers.table_form import (
    BOM,
    RULER,
    SAMPLE,
    FormOptions,
    TableForm,
    detect_form,
)
from recsys_lab.readers.table_rows import CELLS, ENDS, finish_rows

_REMEDY = "repair the file, say layout=adjacency if a line is an item and its neighbours,"
_NO_LINES = TableForm("\t", 2, {"source": 0, "target": 1})


class TableReader:
    """The rows of one table, in batches.

    Args:
        path: a file, a folder of parts, or a pattern.
        options: what the user says about its form.
        form: of a part that goes on where another ended, the form of that one; else None.

    Attributes:
        form: what was understood; known after the first batch.
        remedies: what to do about lines that cannot be used, by the reason.
        is_of_lines: whether each line is read by itself; known after the first batch.
    """

    def __init__(self, path: str, options: FormOptions, form: TableForm | None = None) -> None:
        self.path = path
        self.form = form
        self.remedies: dict[str, str] = {}
        self.is_of_lines = False
        self._options = options
        self._data_lines = 0  # that are neither blank nor before the data

    def batches(self) -> Iterator[pl.DataFrame]:
        """Rows with text, number, source, target, cell, type and reason, one for each line.

        `text` is the line and `number` its number, from 1; `cell` the text of the weight or label,
        null where there is no such column; `reason` is why a line is no row, null where it is one.
        Of an adjacency list there is a row for each neighbour.

        Raises:
            CatalogError: the file cannot be read, or its form cannot be told.
        """
        files = find_files(self.path)
        if kind := kind_of(files[0]):
            table = ColumnarTable(self.path, files, kind, self._options)
            for rows in table.batches():
                self.form = table.form
                yield rows
            return
        first, blocks = begin(self.path)
        if begins_document(first):
            yield from self._document(read_chunks(self.path, blocks))
        else:
            self.is_of_lines = True
            yield from self._lines(blocks)

    def _document(self, chunks: Iterator[bytes]) -> Iterator[pl.DataFrame]:
        before = 0
        for lines in document_lines(chunks, self.path):
            if self.form is None:
                self.form = json_form(lines[: 2 * SAMPLE], self.path, self._options)
            text = pl.Series("text", lines, dtype=pl.String)
            yield take_json(text, text, self.form, before)
            before += len(lines)

    def _lines(self, blocks: Iterator[bytes]) -> Iterator[pl.DataFrame]:
        before, is_lines_of_json = 0, self.form is not None and self.form.separator == "json"
        for batch in read_batches(self.path, blocks=blocks):
            lines = pl.Series("line", batch, dtype=pl.Binary)
            text, remedy = decode_lines(lines)
            if remedy:
                self.remedies.setdefault("not UTF-8", remedy)
            text = text.str.strip_prefix(BOM)
            skipped = 0
            if self.form is not None and not before:  # the form is that of another part
                skipped = begin_part(text.head(2 * SAMPLE), self.form, self.path)
            if self.form is None:
                known = text.drop_nulls().head(2 * SAMPLE).to_list()
                if not any(line.strip() for line in known):
                    yield _take_apart(lines, text, _NO_LINES, "", 0, before)
                    before += len(batch)
                    continue
                is_lines_of_json = is_json(known)
                if is_lines_of_json:
                    self.form = json_form(known, self.path, self._options)
                else:
                    is_whole = len(known) == len(batch) and sum(map(len, known)) < BLOCK_BYTES // 2
                    self.form = detect_form(known, self.path, self._options, is_whole=is_whole)
                    skipped = self.form.skipped
                    if self._options.layout is None:
                        self.remedies["wrong number of columns"] = _REMEDY
            if is_lines_of_json:
                yield take_json(lines, text, self.form, before)
            else:
                comment = self._options.comment or ""
                rows = _take_apart(lines, text, self.form, comment, skipped, before)
                if self.form.entries is not None or self.form.counted:
                    beside = rows["reason"].is_in(["blank", "comment"])
                    self._data_lines += len(rows) - int(beside.sum())
                yield rows
            before += len(batch)
        self._check_entries()

    def _check_entries(self) -> None:
        """Refuse a file that ends before, or goes on behind, the number of lines that it names.

        Also one whose first line may be the number of its lines, and was read as an edge.
        """
        for edges, line in ({} if self.form is None else self.form.counted).items():
            if fit_lines(edges, self._data_lines - 1):
                refuse_counts(self.path, line)
        entries = None if self.form is None else self.form.entries
        if entries is not None and entries != self._data_lines:
            raise CatalogError(
                f"{self.path} promises {entries:,} entries and holds {self._data_lines:,}: fetch "
                "it again, or correct its line of sizes"
            )


def parts_of_table(path: str, options: FormOptions) -> list[tuple[str, TableForm | None]]:
    """Paths of a table that can be read apart from each other, and the form to read each by.

    The first tells the form of all. JSON documents, files of columns, and a form that counts the
    lines of all files make one part.
    """
    files = full_parts(path)
    if len(files) > 1:
        reader = TableReader(files[0], options)
        next(reader.batches(), None)
        form = reader.form
        if reader.is_of_lines and form is not None and form.entries is None and not form.counted:
            return [(files[0], None), *((file, form) for file in files[1:])]
    return [(path, None)]


def _take_apart(
    lines: pl.Series, text: pl.Series, form: TableForm, comment: str, skipped: int, before: int
) -> pl.DataFrame:
    """The rows of lines of text, as `TableReader.batches` gives them.

    Args:
        lines: as bytes; null where one is too long.
        text: as text; null where one is no UTF-8.
        form: of the file.
        comment: beginning of comments.
        skipped: number of these lines that stand before the data.
        before: number of lines of the file before these.
    """
    plain = text
    if form.attributes:
        plain = without_attributes(text)
    if form.levels:
        plain = text.str.replace(form.levels, "${1}" + form.separator + "${2}")
    fields = split_lines(plain, form.separator, quoted=form.quoted)
    frame = pl.DataFrame({"line": lines, "text": text, "fields": fields})
    frame = frame.with_columns(number=pl.int_range(before + 1, before + 1 + pl.len()))
    is_comment = pl.col("number") <= before + skipped
    if form.separator == "|":
        is_comment |= pl.col("text").str.contains(RULER)
    if comment:
        is_comment |= pl.col("text").str.starts_with(comment)
    checks: list[tuple[str, pl.Expr]] = [
        ("too long", pl.col("line").is_null()),
        ("not UTF-8", pl.col("text").is_null()),
        ("malformed", pl.col("text").str.contains("\0", literal=True)),
        ("comment", is_comment),
        ("blank", pl.col("text").str.strip_chars() == ""),
        ("header", pl.lit(form.header is not None) & (pl.col("text") == (form.header or ""))),
        ("malformed", pl.col("fields").is_null()),
    ]
    if form.layout == "adjacency":
        return _neighbours(frame, form, checks)
    cells = pl.col("fields").list
    checks.append(("wrong number of columns", cells.len() != form.num_columns))
    columns = {
        role: cells.get(form.roles[role], null_on_oob=True)
        if role in form.roles
        else pl.lit(None, pl.String)
        for role in CELLS
    }
    return finish_rows(frame.with_columns(**columns), form, checks)


def _neighbours(
    frame: pl.DataFrame, form: TableForm, checks: list[tuple[str, pl.Expr]]
) -> pl.DataFrame:
    """A row for each item and neighbour; a line without a neighbour has one row, which is none."""
    cells = pl.col("fields").list.eval(pl.element().str.strip_chars())
    frame = frame.with_columns(fields=cells.list.eval(pl.element().filter(pl.element() != "")))
    frame = frame.with_columns(
        source=pl.col("fields").list.first(), target=pl.col("fields").list.slice(1)
    ).explode("target", empty_as_null=True)
    none = pl.col("target").is_null() & pl.col("source").is_not_null()
    empty = {role: pl.lit(None, pl.String) for role in CELLS if role not in ENDS}
    return finish_rows(frame.with_columns(**empty), form, [*checks, ("no neighbour", none)])

"""Embeddings as files for other programs.

By default a format holds what the score of the run needs, if it has room for it:

    npy          NAME.query.npy, NAME.key.npy (n, E) and NAME.ids.json, a list of texts
    safetensors  one file: vector (n, D), query, key (n, E), ids (UTF-8 bytes, one after the other)
                 and id_offsets (n + 1,), where they begin and end
    faiss        a flat inner-product index of the keys, NAME.query.npy and NAME.ids.json
    word2vec     text, or binary: the plain vector, since it has room for one

Users of an event log have the table `query`, and `key` where they have vectors of their own. Types
and labels have the tables of items; their id is GROUP=NAME. What has no score is left out. Rows are
read and written in pieces, so memory holds the ids and a piece of the vectors; only an
index of faiss is made in memory.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import polars as pl

from recsys_lab.readers.vector_files import ids_beside
from recsys_lab.results.files import atomic_path
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.parquet_columns import reading
from recsys_lab.vectors.store import VECTOR_COLUMNS
from recsys_lab.vectors.users import OWNER_ONLY

Format = Literal["word2vec", "word2vec-binary", "npy", "safetensors", "faiss"]
Table = Literal["vector", "query", "key"]
Of = Literal["items", "users", "nodes"]
Advance = Callable[[int], None]  # told the number of rows that were written

_ROWS = 8192  # of a piece; those of a row group of a run's embeddings
_CANNOT_HOLD = {  # ids that a reader of the format would cut, and what is in them
    "word2vec": (r"[ \t\n\r\x0b\x0c]", "white space"),
    "word2vec-binary": (r"[ \n]", "a space or a line feed"),
}


class Exported(NamedTuple):
    """What was written.

    Attributes:
        files: their paths.
        num_items: items, users or nodes in them.
        left_out: those without a score, which are not.
        note: a sentence where rankings by the files are not those of the run, or an empty text.
    """

    files: list[Path]
    num_items: int
    left_out: int
    note: str


def export(
    embeddings: Embeddings,
    form: Format,
    out: str | Path,
    which: Table | None = None,
    advance: Advance = lambda rows: None,
    *,
    of: Of = "items",
) -> Exported:
    """Write embeddings in a format of other programs; files are complete or absent.

    Args:
        embeddings: of a run.
        form: see the module.
        out: the file; of several, the ending is replaced.
        which: the one table to write; None writes what the score needs, or the plain vector where
            there is room for one.
        advance: is told how many rows have been written, of `num_rows`.
        of: what is written: "items", "users", or "nodes", which are types and labels.

    Raises:
        VectorsError: an argument is wrong, the format cannot hold an id, or a library is missing.
    """
    if form not in get_args(Format):
        raise VectorsError(f"format must be one of {', '.join(get_args(Format))}, got {form}")
    if which is not None and which not in VECTOR_COLUMNS:
        raise VectorsError(f"which must be one of {', '.join(VECTOR_COLUMNS)}, got {which}")
    source, out = _source(embeddings, of, which), Path(out)
    which = _of_users(source, which) if of == "users" else which
    if out.is_dir():
        raise VectorsError(f"{out} is a folder: name the file to write")
    if not source.count:
        raise VectorsError(
            f"no {of[:-1]} of {embeddings.folder} has a score: there is nothing to export"
        )
    if form in _CANNOT_HOLD:
        _check_ids(source.ids, form)
    files = _FILES[form](source, out, which)
    with ExitStack() as stack:
        for path, write in files.items():
            part = stack.enter_context(atomic_path(path))
            if of == "users":
                part.chmod(OWNER_ONLY)
            write(part, advance)
    is_plain = which == "vector" or (which is None and form in _CANNOT_HOLD)
    note = _note(embeddings.info, form) if is_plain and of != "users" else ""
    return Exported([*files], source.count, source.num_rows - source.count, note)


def num_rows(
    embeddings: Embeddings, form: Format, which: Table | None = None, *, of: Of = "items"
) -> int:
    """How many rows `export` writes, over all its tables."""
    source = _source(embeddings, of, which)
    if which or of == "users" or form in _CANNOT_HOLD:
        return source.count
    return source.count * (3 if form == "safetensors" else 2)


def _source(embeddings: Embeddings, of: Of, which: Table | None) -> "_Source":
    embeddings.check_vectors()
    if of == "users":
        return _Source(embeddings.users.path, "user", kept="own" if which == "key" else "scored")
    if of == "nodes":
        return _Source(embeddings.nodes.path, "name", "group")
    return _Source(embeddings.path)


def _of_users(source: "_Source", which: Table | None) -> Table:
    """The one table of users that is written.

    Raises:
        VectorsError: users do not have the table that is asked for.
    """
    if which == "vector" or (which == "key" and "key" not in source.schema):
        raise VectorsError(
            f"users have no table {which}: which must be query or key, got {which}"
            if "key" in source.schema
            else f"users have the table query alone, got which={which}"
        )
    return which or "query"


def _note(info: dict[str, Any] | Any, form: Format) -> str:
    """Whether the plain vectors give the ranking that the run was measured by."""
    score, extra = info.get("score"), []
    if score is None:  # of a file from elsewhere
        return ""
    if info.get("biased"):
        extra.append("popularity or biases of the items")
    if info.get("both_ways") or info.get("directed"):
        extra.append("a second vector of every item")
    if not extra and score == "cosine":
        return ""
    if not extra:
        dot = "these vectors are scored by their inner product, not by the cosine"
        return dot if form in _CANNOT_HOLD else ""
    return (
        f"the score of this run also takes {' and '.join(extra)}, so rankings by these plain "
        "vectors are not what metrics.json measured: npy, safetensors and faiss keep the score"
    )


@dataclass
class _Source:
    """The rows of a Parquet file of embeddings that have a score, read in pieces.

    Attributes:
        path: of the file.
        id_column: names the rows, in a group where there is a column of groups.
        group_column: None where ids alone name the rows.
        kept: the column that says which rows have a score.
    """

    path: Path
    id_column: str = "item"
    group_column: str | None = None
    kept: str = "scored"

    def __post_init__(self) -> None:
        with reading(self.path):
            self.schema = pl.read_parquet_schema(self.path)
            wanted = [self.id_column, self.kept, self.group_column]
            known: list[str] = [name for name in wanted if name in self.schema]
            frame = pl.read_parquet(self.path, columns=known)
        self.num_rows = frame.height
        self.scored = self.kept in frame.columns and not frame[self.kept].all()
        self.ids = self._ids(frame.filter(self.kept) if self.scored else frame)
        self.count = len(self.ids)

    def _ids(self, frame: pl.DataFrame) -> pl.Series:
        """The id of each row, with its group where there are groups."""
        if self.group_column is None:
            return frame[self.id_column].alias("item")
        named = pl.format("{}={}", self.group_column, self.id_column)
        return frame.select(named.alias("item")).to_series()

    def column(self, table: str) -> str:
        """The column of a table; a file with one table has it for all."""
        own = [name for name in VECTOR_COLUMNS if name in self.schema]
        return table if table in own else own[0]

    def dimension(self, table: str) -> int:
        """Length of the vectors of a table."""
        kind = self.schema[self.column(table)]
        if not isinstance(kind, pl.Array):
            raise VectorsError(
                f"{self.path}: {table} must be a column of fixed-size lists of float32"
            )
        return int(kind.shape[0])

    def pieces(self, table: str) -> Iterator[tuple[pl.Series, np.ndarray]]:
        """Raw ids and vectors (rows, D) little-endian float32, piece by piece."""
        column, dim = self.column(table), self.dimension(table)
        ids = [self.id_column] if self.group_column is None else [self.group_column, self.id_column]
        wanted = [*ids, column, *([self.kept] if self.scored else [])]
        scan = pl.scan_parquet(self.path).select(wanted)
        for start in range(0, self.num_rows, _ROWS):
            with reading(self.path):
                frame = scan.slice(start, _ROWS).collect()
            frame = frame.filter(self.kept) if self.scored else frame
            vectors = frame[column].rechunk().to_numpy().reshape(frame.height, dim)
            yield self._ids(frame), np.ascontiguousarray(vectors, "<f4")


def _check_ids(ids: pl.Series, form: Format) -> None:
    """Refuse ids that a reader of word2vec files would cut in two, or lose."""
    pattern, what = _CANNOT_HOLD[form]
    if len(wrong := ids.filter(ids.str.contains(pattern) | (ids == ""))):
        tabs_only = (
            form == "word2vec" and not wrong.str.contains(_CANNOT_HOLD["word2vec-binary"][0]).any()
        )
        other = "word2vec-binary" if tabs_only else "npy, safetensors or faiss"
        raise VectorsError(
            f"{form} cannot hold ids with {what}: {len(wrong):,} of {len(ids):,} have some, the "
            f"first is {wrong[0]!r}; choose --format {other}"
        )


# -- formats: path -> what writes it -------------------------------------------------------------

_Writers = dict[Path, Callable[[Path, Advance], None]]


def _word2vec_files(source: _Source, out: Path, which: Table | None, *, binary: bool) -> _Writers:
    write = _write_word2vec_binary if binary else _write_word2vec_text
    return {out: partial(write, source, which or "vector")}


def _npy_files(source: _Source, out: Path, which: Table | None) -> _Writers:
    out = out if out.suffix == ".npy" else out.with_name(f"{out.name}.npy")
    if which:
        tables = {out: which}
    else:
        tables = {out.with_suffix(f".{name}.npy"): name for name in ("query", "key")}
    writers: _Writers = {path: partial(_write_npy, source, name) for path, name in tables.items()}
    return writers | {ids_beside(out): partial(_write_ids, source)}


def _safetensors_files(source: _Source, out: Path, which: Table | None) -> _Writers:
    return {out: partial(_write_safetensors, source, (which,) if which else VECTOR_COLUMNS)}


def _faiss_files(source: _Source, out: Path, which: Table | None) -> _Writers:
    try:
        import faiss  # noqa: F401
    except ImportError:
        raise VectorsError("faiss is not installed: pip install 'recsys-lab[index]'") from None
    writers: _Writers = {out: partial(_write_faiss, source, which or "key")}
    if not which:
        writers[out.with_suffix(".query.npy")] = partial(_write_npy, source, "query")
    return writers | {ids_beside(out): partial(_write_ids, source)}


_FILES: dict[str, Callable[[_Source, Path, Table | None], _Writers]] = {
    "word2vec": partial(_word2vec_files, binary=False),
    "word2vec-binary": partial(_word2vec_files, binary=True),
    "npy": _npy_files,
    "safetensors": _safetensors_files,
    "faiss": _faiss_files,
}

# -- writers -------------------------------------------------------------------------------------


def _write_word2vec_text(source: _Source, table: str, path: Path, advance: Advance) -> None:
    """Numbers have as many digits as float32 needs to be read back to the bit."""
    with path.open("wb") as file:
        file.write(f"{source.count} {source.dimension(table)}\n".encode())
        for ids, vectors in source.pieces(table):
            numbers = pl.Series("values", vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))
            texts = pl.element().cast(pl.String)
            lines = pl.DataFrame([ids, numbers]).select(
                pl.concat_str(
                    "item", pl.col("values").arr.to_list().list.eval(texts).list.join(" "),
                    separator=" ",
                )
            )  # fmt: skip
            if len(ids):
                file.write("\n".join(lines.to_series()).encode() + b"\n")
            advance(len(ids))


def _write_word2vec_binary(source: _Source, table: str, path: Path, advance: Advance) -> None:
    """As word2vec.c writes them, with a line feed after each vector."""
    with path.open("wb") as file:
        file.write(f"{source.count} {source.dimension(table)}\n".encode())
        for ids, vectors in source.pieces(table):
            rows = zip(ids, vectors, strict=True)
            file.write(b"".join(b"%s %s\n" % (raw.encode(), row.tobytes()) for raw, row in rows))
            advance(len(ids))


def _write_npy(source: _Source, table: str, path: Path, advance: Advance) -> None:
    shape = source.count, source.dimension(table)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        _write_rows(source, table, file, advance)


def _write_rows(source: _Source, table: str, file: Any, advance: Advance) -> None:
    for ids, vectors in source.pieces(table):
        file.write(vectors.tobytes())
        advance(len(ids))


def _write_ids(source: _Source, path: Path, advance: Advance) -> None:
    path.write_text(json.dumps(source.ids.to_list(), ensure_ascii=False), encoding="utf-8")


def _write_safetensors(
    source: _Source, tables: tuple[str, ...], path: Path, advance: Advance
) -> None:
    """The format is a header in JSON and the bytes of the tables; its library writes from memory.

    https://github.com/huggingface/safetensors#format
    """
    raw = [item.encode() for item in source.ids]
    offsets = np.cumsum([0, *map(len, raw)], dtype="<i8")
    shapes: dict[str, tuple[str, list[int]]] = {"id_offsets": ("I64", [len(offsets)])}
    shapes |= {name: ("F32", [source.count, source.dimension(name)]) for name in tables}
    shapes["ids"] = "U8", [int(offsets[-1])]
    header: dict[str, Any] = {"__metadata__": {"written_by": "recsys_lab"}}
    end = 0
    for name, (kind, shape) in shapes.items():
        start, end = end, end + int(np.prod(shape)) * {"F32": 4, "I64": 8, "U8": 1}[kind]
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tables begin at a multiple of 8
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + offsets.tobytes())
        for name in tables:
            _write_rows(source, name, file, advance)
        file.write(b"".join(raw))


def _write_faiss(source: _Source, table: str, path: Path, advance: Advance) -> None:
    import faiss

    index = faiss.IndexFlatIP(source.dimension(table))
    for ids, vectors in source.pieces(table):
        index.add(vectors)
        advance(len(ids))
    faiss.write_index(index, str(path))

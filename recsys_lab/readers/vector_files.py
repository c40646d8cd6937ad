"""Files of item vectors: word2vec, GloVe, NumPy, safetensors and Parquet. Nothing is unpickled.

What a file is, its first bytes tell. Ids of a `.npy` stand beside it: of `x.npy`, `x.query.npy` and
`x.key.npy` in `x.ids.json`, a list of texts, or `x.ids.txt`, one on each line.
"""

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys_lab.readers.item_vectors import ItemVectors, VectorFileError, checked
from recsys_lab.readers.word2vec_files import read_word2vec

TABLES = ("vector", "query", "key")
_READABLE = "give a file of word2vec or GloVe, .npy, .safetensors or .parquet"
_REFUSED = {  # by their first bytes
    b"\x80": "a pickle, which is not read because it can run code",
    b"PK\x03\x04": "an archive (.npz or a checkpoint of torch), which is not read",
    b"\x89HDF": "HDF5, which is not read",
    b"IxFI": "an index of faiss, which holds no ids",
}


def read_vectors(path: str, ids: str | None = None, *, plain: bool = False) -> ItemVectors:
    """Read the vectors of a file.

    Args:
        path: the file; of `x.query.npy` and `x.key.npy`, either, or `x.npy`.
        ids: file of the ids, `.json` or one on each line; None looks beside a `.npy`.
        plain: take the plain vectors of a file that has queries and keys, too.

    Raises:
        VectorFileError: it cannot be read, in one sentence with file, place and remedy.
        CatalogError: the disk or the gzip data cannot be read.
    """
    if (there := find_vectors(path)) is None:
        raise VectorFileError(f"there is no file {path}: name a file of vectors")
    path = str(there)
    with open(path, "rb") as file:
        head = file.read(9)
    if head[8:] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return _read_safetensors(path, ids, plain=plain)
    for magic, kind in _REFUSED.items():
        if head.startswith(magic):
            raise VectorFileError(f"{path} is {kind}: {_READABLE}")
    if head.startswith(b"\x93NUMPY"):
        return _read_npy(Path(path), ids)
    if head.startswith(b"PAR1"):
        return _read_parquet(path, plain=plain)
    raw_ids, vectors = read_word2vec(path)
    return checked(path, raw_ids, {"vector": vectors})


def find_vectors(path: str) -> Path | None:
    """The file that a path names: itself, or queries where `x.npy` stands for them and keys."""
    own = Path(path)
    queries = own.with_suffix(".query.npy")
    if own.suffix == ".npy" and not own.is_file() and queries.is_file():
        return queries
    return own if own.is_file() else None


def ids_beside(path: Path) -> Path:
    """Where the ids of a `.npy` or an index stand: without the ending, and with `.ids.json`."""
    return path.with_name(f"{_stem(path)}.ids.json")


def _stem(path: Path) -> str:
    stem = path.stem
    return stem.removesuffix(".query").removesuffix(".key")


def _read_npy(path: Path, ids: str | None) -> ItemVectors:
    role = path.stem.rpartition(".")[2]
    if role in ("query", "key"):
        paths = {r: path.with_name(f"{_stem(path)}.{r}.npy") for r in ("query", "key")}
    else:
        paths = {"vector": path}
    tables = {name: _load_npy(one) for name, one in paths.items()}
    raw_ids = _read_ids(_find_ids(path, ids))
    for name, table in tables.items():
        _check_shape(str(paths[name]), table, len(raw_ids))
    _check_alike(str(path), tables)
    return checked(str(path), raw_ids, tables)


def _load_npy(path: Path) -> np.ndarray:
    if not path.is_file():
        raise VectorFileError(f"there is no file {path}: queries need keys, and keys queries")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        if "pickle" in str(error) or "Python object" in str(error):
            reason = "it holds Python objects, which are not read because they can run code"
        else:
            reason = str(error).splitlines()[0]
        raise VectorFileError(f"{path} cannot be read ({reason}): save it as float32") from error


def _find_ids(path: Path, given: str | None) -> Path:
    if given is not None:
        if not Path(given).is_file():
            raise VectorFileError(f"there is no file {given}: name the file of the ids")
        return Path(given)
    names = [f"{stem}.ids.{kind}" for stem in (_stem(path), path.name) for kind in ("json", "txt")]
    found = next((p for name in names if (p := path.with_name(name)).is_file()), None)
    if found is None:
        raise VectorFileError(
            f"{path} has no ids: put them beside it as {names[0]}, a list of texts, or {names[1]}, "
            "one on each line"
        )
    return found


def _read_ids(path: Path) -> pl.Series:
    try:
        text = path.read_bytes().decode()
        if path.suffix == ".json":
            values = json.loads(text)
            if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
                raise VectorFileError(f"{path} must hold one list of texts, the ids of the vectors")
        else:
            lines = text.removeprefix("\ufeff").removesuffix("\n").split("\n")
            values = [line.removesuffix("\r") for line in lines]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise VectorFileError(f"{path} cannot be read ({error}): write it in UTF-8") from error
    return pl.Series(values, dtype=pl.String)


def _check_shape(path: str, table: np.ndarray, num_ids: int) -> None:
    if table.ndim != 2 or table.dtype.kind not in "fiu" or not table.shape[1]:
        raise VectorFileError(
            f"{path} holds {table.shape} {table.dtype}: vectors are a table (items, dimension) "
            "of numbers"
        )
    if len(table) != num_ids:
        raise VectorFileError(
            f"{path} holds {len(table):,} vectors for {num_ids:,} ids: give one id for each"
        )


def _check_alike(path: str, tables: dict[str, np.ndarray]) -> None:
    """Queries come with keys of their dimension."""
    shapes = {name: tables[name].shape for name in ("query", "key") if name in tables}
    if len(shapes) == 1 or len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise VectorFileError(
            f"{path}: query and key must be two tables of one shape, got {listed}"
        )


def _read_safetensors(path: str, ids: str | None, *, plain: bool) -> ItemVectors:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise VectorFileError(
            f"{path} needs the library safetensors: pip install 'recsys-lab[safetensors]'"
        ) from None
    try:
        with safe_open(path, "numpy") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            matrices = [name for name, shape in shapes.items() if len(shape) == 2]
            names = _chosen(path, matrices, plain=plain)
            tables = {role: file.get_tensor(name) for role, name in names.items()}
            if ids is None and {"ids", "id_offsets"} <= shapes.keys():
                raw_ids = _joined_ids(path, file.get_tensor("ids"), file.get_tensor("id_offsets"))
            else:
                raw_ids = _read_ids(_find_ids(Path(path), ids))
    except (SafetensorError, TypeError, AttributeError) as error:  # bfloat16 is none of NumPy's
        raise VectorFileError(f"{path} cannot be read ({error}): save it as float32") from error
    for table in tables.values():
        _check_shape(path, table, len(raw_ids))
    _check_alike(path, tables)
    return checked(path, raw_ids, tables)


def _chosen(path: str, names: list[str], *, plain: bool) -> dict[str, str]:
    """Tables or columns of vectors by role: those with the names of an export, or the only one."""
    known = [name for name in TABLES if name in names]
    if {"query", "key"} & set(known) and not (plain and "vector" in known):
        known = [name for name in known if name != "vector"]
    elif "vector" in known:
        known = ["vector"]
    if known:
        return {name: name for name in known}
    if len(names) == 1:
        return {"vector": names[0]}
    raise VectorFileError(
        f"{path} needs one table of vectors, or the names vector, query and key; it has "
        f"{', '.join(names) or 'none'}"
    )


def _joined_ids(path: str, text: np.ndarray, offsets: np.ndarray) -> pl.Series:
    """Ids from their UTF-8 bytes and the places where they begin and end."""
    whole, ends = text.tobytes(), offsets.tolist()
    if not ends or ends[0] != 0 or ends[-1] != len(whole) or (np.diff(offsets) < 0).any():
        raise VectorFileError(f"{path}: id_offsets do not fit ids: write the file anew")
    try:
        return pl.Series([whole[a:b].decode() for a, b in pairwise(ends)], dtype=pl.String)
    except UnicodeDecodeError as error:
        raise VectorFileError(f"{path}: the ids are not UTF-8 ({error})") from error


def _read_parquet(path: str, *, plain: bool) -> ItemVectors:
    try:
        schema = pl.read_parquet_schema(path)
        name = _id_column(path, schema)
        lists = [n for n, kind in schema.items() if _is_list(kind)]
        floats = [n for n, kind in schema.items() if kind.is_float()]
        if not lists and floats and not set(TABLES) & schema.keys():
            frame = pl.read_parquet(path, columns=[name, *floats])
            _refuse_null(path, frame, floats)
            return checked(path, frame[name].cast(pl.String), {"vector": frame[floats].to_numpy()})
        chosen = _chosen(path, lists, plain=plain)
        wanted = [name, *chosen.values(), *(["scored"] if "scored" in schema else [])]
        frame = pl.read_parquet(path, columns=list(dict.fromkeys(wanted)))
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise VectorFileError(
            f"{path} is no sound Parquet file ({reason}): write it anew"
        ) from error
    if schema.get("scored") == pl.Boolean:  # rows of a run that have no vectors
        frame = frame.filter("scored")
    tables = {role: _matrix(path, frame[column]) for role, column in chosen.items()}
    _check_alike(path, tables)
    return checked(path, frame[name].cast(pl.String), tables)


def _is_list(kind: Any) -> bool:
    return isinstance(kind, pl.List | pl.Array) and (
        kind.inner.is_float() or kind.inner.is_integer()
    )


def _id_column(path: str, schema: Mapping[str, pl.DataType]) -> str:
    texts = [name for name, kind in schema.items() if kind == pl.String]
    if "item" in schema and (schema["item"] == pl.String or schema["item"].is_integer()):
        return "item"
    if len(texts) == 1:
        return texts[0]
    raise VectorFileError(
        f"{path} needs a column item with the ids; it has {', '.join(schema) or 'no columns'}"
    )


def _matrix(path: str, column: pl.Series) -> np.ndarray:
    """A column of lists as a table (n, D)."""
    if isinstance(column.dtype, pl.List):
        lengths = column.list.len()
        dim = 0 if not len(column) else int(lengths[0] or 0)
        wrong = (lengths.is_null() | (lengths != dim)).arg_true()
        if len(wrong):
            row = wrong[0]
            raise VectorFileError(
                f"{path} row {row + 1:,}: {column.name} has {lengths[row] or 0} values, not {dim} "
                "as in the first row: give all vectors one dimension"
            )
        column = column.list.to_array(dim)
    flat = column.explode() if len(column) else pl.Series(dtype=pl.Float32)
    if column.null_count() or flat.null_count():
        row = (column.is_null() | column.arr.eval(pl.element().is_null()).arr.any()).arg_true()[0]
        raise VectorFileError(
            f"{path} row {row + 1:,}: {column.name} is null or holds a null: leave the item out"
        )
    dim = column.dtype.shape[0]  # type: ignore[attr-defined]
    return column.rechunk().to_numpy().reshape(len(column), dim)


def _refuse_null(path: str, frame: pl.DataFrame, columns: list[str]) -> None:
    for name in columns:
        if frame[name].null_count():
            row = frame[name].is_null().arg_true()[0]
            raise VectorFileError(f"{path} row {row + 1:,}: {name} is null: leave the item out")

"""The formats of word2vec, text and binary, and lines of GloVe; plain or gzip.

    text    a line "COUNT DIMENSION", then on each line an id and its values
    binary  that line, then for each item its id, a space, and the values as float32
    GloVe   the lines of text, without the first one

White space ends an id, so an id holds none; in binary only the space and the line feed end it.
"""

import codecs
from collections.abc import Iterator

import numpy as np
import polars as pl

from recsys_lab.readers.item_vectors import VectorFileError
from recsys_lab.readers.lines import read_blocks
from recsys_lab.readers.opening import DamagedFileError, read_bytes

_SAMPLE = 1 << 16  # bytes that tell what a file is
_MAX_ID = 1 << 16  # bytes
_BOM = codecs.BOM_UTF8
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r"))  # bytes that no text holds


def read_word2vec(path: str) -> tuple[pl.Series, np.ndarray]:
    """Raw ids and vectors (n, D) of a file; its contents tell which of the formats it has.

    Raises:
        VectorFileError: it has none of them, or breaks it.
    """
    sample = b""
    for block in _bytes_of(path):
        sample += block
        if len(sample) >= _SAMPLE:
            break
    if not sample:
        raise VectorFileError(f"{path} is empty: give a file with a vector for each item")
    first, _, rest = sample.removeprefix(_BOM).partition(b"\n")
    fields = first.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        count, dim = map(int, fields)
        if count < 1 or dim < 1:
            raise VectorFileError(f"{path} promises {count} vectors of {dim} values: write it anew")
        if _is_text(rest, dim):
            return _read_text(path, dim, count)
        return _read_binary(path, dim, count)
    if len(fields) >= 3 and _are_numbers(fields[1:]):
        return _read_text(path, len(fields) - 1, None)
    raise VectorFileError(
        f"{path} begins with {first[:60].decode(errors='replace')!r}, which is neither the line "
        "COUNT DIMENSION of word2vec nor an id and two or more values between white space: give a "
        "file of word2vec, GloVe, .npy, .safetensors or .parquet"
    )


def _is_text(sample: bytes, dim: int) -> bool:
    """Whether what follows the first line is text, perhaps with mistakes: a number follows an id.

    The bytes of a few values of a binary file may be letters and digits, but no number of text.
    """
    fields = sample.partition(b"\n")[0].split()
    if len(fields) == dim + 1 and _are_numbers(fields[1:]):
        return True
    if fields and not any(_are_numbers([field]) for field in fields[1:]):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return sample.translate(None, _CONTROL) == sample


def _are_numbers(fields: list[bytes]) -> bool:
    try:
        return [float(field) for field in fields] != []
    except ValueError:
        return False


def _read_text(path: str, dim: int, count: int | None) -> tuple[pl.Series, np.ndarray]:
    """Lines of an id and D values, after a line of their number unless `count` is None."""
    ids: list[str] = []
    pieces: list[np.ndarray] = []
    number = 0  # of the line
    for block in read_blocks(path):
        if block is None:
            raise VectorFileError(f"{path} line {number + 1:,} is too long: it is no vector")
        values: list[float] = []
        for line in block.removesuffix(b"\n").split(b"\n"):
            number += 1
            fields = line.split()
            if not fields or (number == 1 and count is not None):
                continue
            if len(fields) != dim + 1:
                raise VectorFileError(
                    f"{path} line {number:,} has {len(fields) - 1} values after the id, not "
                    f"{dim}: every line needs an id without white space and {dim} values"
                )
            raw = fields[0].removeprefix(_BOM) if number == 1 else fields[0]
            ids.append(_decoded(path, raw, f"line {number:,}"))
            values += _numbers(path, number, fields[1:])
        with np.errstate(over="ignore"):
            pieces.append(np.array(values, np.float32))
    if count is not None and len(ids) != count:
        raise VectorFileError(
            f"{path} holds {len(ids):,} vectors, its first line promises {count:,}: "
            "fetch the file again, or correct that line"
        )
    return pl.Series(ids, dtype=pl.String), np.concatenate(pieces).reshape(-1, dim)


def _numbers(path: str, number: int, fields: list[bytes]) -> list[float]:
    try:
        return list(map(float, fields))
    except ValueError:
        wrong = next(field for field in fields if not _are_numbers([field]))
        raise VectorFileError(
            f"{path} line {number:,} has {wrong[:40].decode(errors='replace')!r} where a number "
            "belongs: correct the line"
        ) from None


def _read_binary(path: str, dim: int, count: int) -> tuple[pl.Series, np.ndarray]:
    ids: list[str] = []
    pieces: list[np.ndarray] = []
    blocks = _bytes_of(path)
    rest = b""
    while b"\n" not in rest:
        rest += next(blocks)
    rest = rest.partition(b"\n")[2]
    while True:
        start, found = 0, []
        while len(ids) < count:
            space = rest.find(b" ", start)
            end = space + 1 + 4 * dim
            if space < 0 or end > len(rest):
                break
            ids.append(_decoded(path, rest[start:space].lstrip(b"\n"), f"vector {len(ids) + 1:,}"))
            found.append(rest[space + 1 : end])
            start = end
        pieces.append(np.frombuffer(b"".join(found), "<f4"))
        rest = rest[start:]
        too_long = b" " not in rest[:_MAX_ID] and len(rest) > _MAX_ID
        if (len(ids) == count and rest.strip()) or too_long:
            raise VectorFileError(
                f"{path} does not hold {count:,} vectors of {dim} values, as its first line "
                f"promises: it goes on after number {len(ids):,}; fetch the file again"
            )
        if (block := next(blocks, None)) is None:
            break
        rest += block
    if len(ids) < count:
        raise VectorFileError(
            f"{path} ends within vector {len(ids) + 1:,} of the {count:,} vectors of {dim} values "
            "that its first line promises: fetch the file again"
        )
    return pl.Series(ids, dtype=pl.String), np.concatenate(pieces).reshape(-1, dim)


def _decoded(path: str, raw: bytes, place: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise VectorFileError(
            f"{path} {place}: the id {raw[:40]!r} is not UTF-8: write the file in UTF-8, and "
            "check the dimension in its first line"
        ) from None


def _bytes_of(path: str) -> Iterator[bytes]:
    try:
        yield from read_bytes(path)
    except DamagedFileError as error:
        raise VectorFileError(
            f"{path}: the {error.kind} data is truncated or corrupt ({error}): fetch the file again"
        ) from error

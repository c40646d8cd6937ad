"""Lines of plain or packed files in bounded memory, with errors that name the file."""

import logging
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from recsys_lab.compute.memory import check_reading
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.opening import DamagedFileError, find_files, holds_nothing, read_bytes

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 10_000_000
_LOG_EVERY = 5.0  # seconds


def begin(path: str) -> tuple[bytes, Iterator[bytes]]:
    """The first block of a file, about a megabyte, and all its blocks, this one included.

    For a form that its beginning tells: the blocks go on into `read_blocks` or `read_chunks`, so
    the file is opened once.

    Raises:
        CatalogError: as of `read_blocks`.
    """
    blocks = _blocks_of_files(path)
    try:
        first = next(blocks, b"")
    except DamagedFileError as error:
        raise _damaged(path, error) from error
    return first, chain([first], blocks)


def full_parts(path: str) -> list[str]:
    """The files of a path; of several those that are not empty, as some that Spark writes are.

    Raises:
        CatalogError: there are none.
    """
    files = find_files(path)
    if len(files) == 1:
        return files
    if full := [file for file in files if not _is_empty(file)]:
        return full
    raise CatalogError(f"{path} has empty files only; give one with a record")


def _is_empty(file: str) -> bool:
    return Path(file).is_file() and holds_nothing(file)


def read_batches(
    path: str, max_line_bytes: int = MAX_LINE_BYTES, blocks: Iterator[bytes] | None = None
) -> Iterator[list[bytes | None]]:
    r"""Yield the lines of `read_blocks` in batches of about a megabyte, without their ends.

    A line beyond `max_line_bytes` is None. A `\r` before the end is cut off too.
    """
    for block in read_blocks(path, max_line_bytes, blocks):
        if block is None:
            yield [None]
        else:
            lines = block[:-1].split(b"\n")
            yield [line.removesuffix(b"\r") for line in lines] if b"\r" in block else [*lines]


def read_blocks(
    path: str, max_line_bytes: int = MAX_LINE_BYTES, blocks: Iterator[bytes] | None = None
) -> Iterator[bytes | None]:
    r"""Yield the lines of a file, about a megabyte of whole lines at a time.

    Lines end with `\n` or `\r\n`; a last line without an end is given one. In the place of a line
    beyond `max_line_bytes` comes None, and it is never held as a whole. `opening` says which files
    a path names, and how they are unpacked.

    Args:
        path: the file, a folder of parts, or a pattern.
        max_line_bytes: the longest line.
        blocks: those of `begin`; None opens the file.

    Raises:
        CatalogError: the file cannot be opened, is empty, or is truncated or corrupt; the
            message names the file and how many records were read until then.
    """
    count = 0
    rest = b""  # the beginning of the line that the next block continues
    too_long = False  # whether that line is beyond the limit and its bytes are thrown away
    started = logged = time.monotonic()
    blocks = blocks or _blocks_of_files(path)
    while True:
        try:
            block = next(blocks, None)
        except DamagedFileError as error:
            raise CatalogError(
                f"{path}: the {error.kind} data is truncated or corrupt after {count:,} records "
                f"({error}); fetch the file again, or keep its sound part: "
                f"{error.unpack} FILE | head -n {count} | gzip > NEW"
            ) from error
        if block is None:
            break
        first, end = block.find(b"\n") + 1, block.rfind(b"\n") + 1
        too_long = too_long or len(rest) + (first or len(block)) > max_line_bytes + 2  # \r and \n
        rest = b"" if too_long else rest
        if not end:
            rest += b"" if too_long else block
            continue
        count += int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))
        if too_long:
            yield None
        whole = block[first:end] if too_long else rest + block[:end]
        yield from _within(whole, max_line_bytes)
        rest, too_long = block[end:], False
        check_reading(path, count)
        if time.monotonic() - logged >= _LOG_EVERY:
            logged = time.monotonic()
            log.info("%s: %s lines read in %.0f s", path, f"{count:,}", logged - started)
    if too_long:
        yield None
    elif rest:
        yield from _within(rest + b"\n", max_line_bytes)
    elif not count:
        raise CatalogError(f"{path} is empty; give a file with at least one record")


def read_chunks(path: str, blocks: Iterator[bytes] | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file as they come, about a megabyte at a time, whatever its lines.

    Args:
        path: the file, for messages.
        blocks: those of `begin`; None opens the file.

    Raises:
        CatalogError: as of `read_blocks`.
    """
    is_empty = True
    try:
        for block in blocks or _blocks_of_files(path):
            is_empty = is_empty and not block
            yield block
    except DamagedFileError as error:
        raise _damaged(path, error) from error
    if is_empty:
        raise CatalogError(f"{path} is empty; give a file with at least one record")


def _damaged(path: str, error: DamagedFileError) -> CatalogError:
    return CatalogError(
        f"{path}: the {error.kind} data is truncated or corrupt ({error}); fetch the file again"
    )


def _within(whole: bytes, max_line_bytes: int) -> Iterator[bytes | None]:
    """A block of whole lines, with None in place of those beyond the limit."""
    if len(whole) <= max_line_bytes:
        if whole:
            yield whole
        return
    for line in whole[:-1].split(b"\n"):
        yield line + b"\n" if len(line.removesuffix(b"\r")) <= max_line_bytes else None


def _blocks_of_files(path: str) -> Iterator[bytes]:
    r"""Blocks of all files of a path, each with an end of its last line; `\r` alone ends lines too.

    The latter only in files without any other end of a line in their first block.
    """
    for name in find_files(path):
        last, only_returns = b"", None  # the block that is held back, so that an end can be added
        try:
            for block in read_bytes(name):
                if only_returns is None:
                    only_returns = b"\n" not in block and b"\r" in block[:-1]
                if last:
                    yield last
                last = block.replace(b"\r", b"\n") if only_returns else block
        except DamagedFileError:
            yield last  # its lines are counted as sound
            raise
        if last:
            yield last if last.endswith(b"\n") else last + b"\n"

"""Lines of a plain or gzip file in bounded memory, with errors that name the file."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from isal import isal_zlib

from recsys_lab.readers.account import CatalogError

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 10_000_000
_BLOCK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
GZIP_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # in its stubs
_LOG_EVERY = 5.0  # seconds


def read_batches(path: str, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[list[bytes | None]]:
    r"""Yield the lines of `read_blocks` in batches of about a megabyte, without their ends.

    A line beyond `max_line_bytes` is None. A `\r` before the end is cut off too.
    """
    for block in read_blocks(path, max_line_bytes):
        if block is None:
            yield [None]
        else:
            lines = block[:-1].split(b"\n")
            yield [line.removesuffix(b"\r") for line in lines] if b"\r" in block else [*lines]


def read_blocks(path: str, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[bytes | None]:
    r"""Yield the lines of a file, about a megabyte of whole lines at a time.

    Lines end with `\n` or `\r\n`; a last line without an end is given one. In the place of a line
    beyond `max_line_bytes` comes None, and it is never held as a whole. The first
    bytes tell whether the file is gzip, not its name.

    Raises:
        CatalogError: the file cannot be opened, is empty, or is a truncated or corrupt gzip; the
            message names the file and how many records were read until then.
    """
    count = 0
    rest = b""  # the beginning of the line that the next block continues
    too_long = False  # whether that line is beyond the limit and its bytes are thrown away
    started = logged = time.monotonic()
    blocks = read_bytes(path)
    while True:
        try:
            block = next(blocks, None)
        except (EOFError, GZIP_ERROR) as error:
            raise CatalogError(
                f"{path}: the gzip data is truncated or corrupt after {count:,} records ({error}); "
                f"fetch the file again, or keep its sound part: "
                f"gzip -dc FILE | head -n {count} | gzip > NEW"
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
        if time.monotonic() - logged >= _LOG_EVERY:
            logged = time.monotonic()
            log.info("%s: %s lines read in %.0f s", path, f"{count:,}", logged - started)
    if too_long:
        yield None
    elif rest:
        yield from _within(rest + b"\n", max_line_bytes)
    elif not count:
        raise CatalogError(f"{path} is empty; give a file with at least one record")


def _within(whole: bytes, max_line_bytes: int) -> Iterator[bytes | None]:
    """A block of whole lines, with None in place of those beyond the limit."""
    if len(whole) <= max_line_bytes:
        if whole:
            yield whole
        return
    for line in whole[:-1].split(b"\n"):
        yield line + b"\n" if len(line.removesuffix(b"\r")) <= max_line_bytes else None


def read_bytes(path: str) -> Iterator[bytes]:
    """Yield the bytes of a plain or gzip file, a megabyte at a time.

    Raises:
        CatalogError: the file cannot be opened.
        EOFError: the gzip data is truncated.
        GZIP_ERROR: the gzip data is corrupt.
    """
    try:
        if Path(path).is_dir():
            raise CatalogError(f"{path} is a folder; give the path of a file in it")
        with open(path, "rb") as file:
            gzipped = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            file.seek(0)
            if gzipped:
                yield from _decompress(file)
            else:
                while block := file.read(_BLOCK_BYTES):
                    yield block
    except FileNotFoundError as error:
        raise CatalogError(f"{path} does not exist; give the path of the catalogue") from error
    except (OSError, ValueError) as error:
        if isinstance(error, CatalogError):
            raise
        raise CatalogError(f"{path} cannot be read ({error}); repair it or give another") from error


def _decompress(file: BinaryIO) -> Iterator[bytes]:
    """Blocks of a gzip file of one or several members; zeros may pad its end.

    A decompressor of its own, since `igzip.open` loses up to a block of sound data when the file
    breaks off, and with it the count of the records that can be rescued.
    """
    data = file.read(_BLOCK_BYTES)
    while data:
        member = isal_zlib.decompressobj(wbits=16 + isal_zlib.MAX_WBITS)
        while not member.eof:
            if block := member.decompress(data, _BLOCK_BYTES):
                yield block
            data = member.unconsumed_tail
            if not data and len(block) < _BLOCK_BYTES and not member.eof:
                data = file.read(_BLOCK_BYTES)
                if not data:
                    raise EOFError("the file ends in the middle")
        data = (member.unused_data or file.read(_BLOCK_BYTES)).lstrip(b"\0")

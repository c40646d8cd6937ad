"""Lines as text; of those that are not UTF-8 the encoding they may have, and how to convert it."""

from itertools import pairwise

import polars as pl

_SEVERAL_BYTES = ("GB18030", "BIG5", "EUC-KR")
_FEW = 3  # signs


def decode_lines(lines: pl.Series) -> tuple[pl.Series, str]:
    """The lines as text, null where one is no UTF-8, and the remedy for the first of these."""
    try:
        return lines.cast(pl.String), ""
    except pl.exceptions.ComputeError:  # somewhere in the batch: look at each line
        texts, remedy = [], ""
        for line in lines:
            try:
                texts.append(None if line is None else line.decode())
            except UnicodeDecodeError:
                texts.append(None)
                remedy = remedy or convert(line)
        return pl.Series(lines.name, texts, dtype=pl.String), remedy


def convert(line: bytes) -> str:
    """The remedy for a line that is not UTF-8."""
    if any(byte < 9 or 13 < byte < 32 for byte in line):
        return "give text, Parquet or Arrow: this looks like another binary form,"
    name = _encoding(line)
    return f"convert it, if it is {name}, with iconv -f {name} -t UTF-8 FILE > NEW,"


def _encoding(line: bytes) -> str:
    """The likely encoding: one of several bytes for a sign where bytes above 127 stand together.

    Shift-JIS begins many signs with bytes that are control codes in Latin-1, where Windows has
    quotation marks and dashes.
    """
    high = [byte > 127 for byte in line]
    leads = sum(0x81 <= byte < 0xA0 for byte in line)
    if leads >= _FEW and _decodes(line, "SHIFT_JIS"):
        return "SHIFT_JIS"
    if sum(high) > _FEW and 2 * sum(a and b for a, b in pairwise(high)) >= sum(high):
        found = [name for name in _SEVERAL_BYTES if _decodes(line, name)]
        if found:
            return found[0]
    return "CP1252" if leads else "LATIN1"


def _decodes(line: bytes, name: str) -> bool:
    try:
        line.decode(name)
    except UnicodeDecodeError:
        return False
    return True

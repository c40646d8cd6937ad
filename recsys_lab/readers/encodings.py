"""Text that is not UTF-8: which encoding it may have, and the command that converts it."""

from itertools import pairwise

_SEVERAL_BYTES = ("GB18030", "BIG5", "EUC-KR")
_FEW = 3  # signs


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

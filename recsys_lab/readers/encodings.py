"""Text that is not UTF-8: which encoding it may have, and the command that converts it."""

_SEVERAL_BYTES = ("GB18030", "SHIFT_JIS", "BIG5", "EUC-KR")


def convert(line: bytes) -> str:
    """The remedy for a line that is not UTF-8."""
    name = _encoding(line)
    return f"convert it, if it is {name}, with iconv -f {name} -t UTF-8 FILE > NEW,"


def _encoding(line: bytes) -> str:
    """The likely encoding: of several bytes for a sign where most bytes above 127 have neighbours.

    Windows has signs where Latin-1 has control codes.
    """
    high = [byte > 127 for byte in line]
    beside = sum(a and b for a, b in zip(high, high[1:], strict=False))
    if sum(high) >= 4 and 2 * beside >= sum(high):
        for name in _SEVERAL_BYTES:
            try:
                line.decode(name)
            except UnicodeDecodeError:
                continue
            return name
    return "CP1252" if any(0x80 <= byte < 0xA0 for byte in line) else "LATIN1"

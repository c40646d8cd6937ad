"""Raw ids to integers: every id is coded once and never held twice."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_lab.compute.kernel_cache import jit

_MAX_PACKED = 15  # bytes of an id that two words hold, beside their number
_SMALLEST = 1 << 16
_BETWEEN = b"\xff"  # behind each id in the result of `_unpack_ids`


class IdCodes:
    """Codes of raw ids: 0, 1, 2, ... as they come; their order means nothing.

    An id of at most 15 bytes is held as two words, which sort as its bytes do: the bytes from the
    highest down, padded with zeros, and their number in the lowest byte. Longer ids are few
    and are held in a dictionary.
    """

    def __init__(self) -> None:
        self._count = 0
        self._keys = np.zeros((_SMALLEST, 2), np.uint64)  # of each code; zeros for a long id
        self._slots = np.full(2 * _SMALLEST, -1, np.int32)  # open addressing, at most half full
        self._long: dict[bytes, int] = {}

    def __len__(self) -> int:
        return self._count

    def __getstate__(self) -> tuple[np.ndarray, dict[bytes, int]]:
        """What another process needs: the ids alone."""
        return self._keys[: self._count], self._long

    def __setstate__(self, state: tuple[np.ndarray, dict[bytes, int]]) -> None:
        keys, long = state
        self.__init__()  # type: ignore[misc]
        self._reserve(len(keys))
        self._keys[: len(keys)], self._long, self._count = keys, long, len(keys)
        _fill(self._slots, self._keys, self._count)

    def encode(self, raws: Iterable[str]) -> np.ndarray:
        """Codes (n,) int32 of ids, none of them empty."""
        if isinstance(raws, pl.Series):
            joined = raws.str.join("").item().encode() if len(raws) else b""
            lengths = raws.str.len_bytes().to_numpy().astype(np.int32)
            return self.encode_bytes(np.frombuffer(joined, np.uint8), lengths)
        encoded = [raw.encode() for raw in raws]
        lengths = np.fromiter(map(len, encoded), np.int32, len(encoded))
        return self.encode_bytes(np.frombuffer(b"".join(encoded), np.uint8), lengths)

    def encode_bytes(self, data: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Codes (n,) int32 of ids in UTF-8 that follow each other in data (B,) uint8."""
        words = _pack_ids(data, lengths)
        is_long = lengths > _MAX_PACKED
        if not is_long.any():
            return self._encode_packed(words)
        codes = np.empty(len(lengths), np.int32)
        codes[~is_long] = self._encode_packed(words[~is_long])
        ends = np.cumsum(lengths, dtype=np.int64)
        for place in np.flatnonzero(is_long).tolist():
            end = int(ends[place])
            codes[place] = self._encode_long(data[end - int(lengths[place]) : end].tobytes())
        return codes

    def take(self, other: "IdCodes") -> np.ndarray:
        """Codes (n,) int32 of the ids of another table, by their codes there."""
        codes = np.empty(len(other), np.int32)
        is_long = np.zeros(len(other), bool)
        is_long[list(other._long.values())] = True
        codes[~is_long] = self._encode_packed(other._keys[: len(other)][~is_long])
        for raw, code in other._long.items():
            codes[code] = self._encode_long(raw)
        return codes

    def _encode_packed(self, words: np.ndarray) -> np.ndarray:
        self._reserve(len(words))
        codes = np.empty(len(words), np.int32)
        self._count = _encode(words, self._slots, self._keys, self._count, codes)
        return codes

    def _encode_long(self, raw: bytes) -> int:
        code = self._long.get(raw)
        if code is None:
            self._reserve(1)
            code = self._long[raw] = self._count
            self._count += 1
        return code

    def _reserve(self, count: int) -> None:
        """Make room for so many new ids."""
        needed = self._count + count
        if needed > len(self._keys):
            keys = np.zeros((max(needed, len(self._keys) * 3 // 2), 2), np.uint64)
            keys[: self._count] = self._keys[: self._count]
            self._keys = keys
        if 2 * needed > len(self._slots):
            self._slots = np.full(1 << int(2 * needed - 1).bit_length(), -1, np.int32)
            _fill(self._slots, self._keys, self._count)

    def raws(self, codes: np.ndarray) -> pl.Series:
        """The raw ids of some codes, in their order."""
        raws = _unpack_ids(self._keys[codes]).tobytes().split(_BETWEEN)[:-1]
        if self._long:
            raw_of_code = {code: raw for raw, code in self._long.items()}
            for place in np.flatnonzero(self._keys[codes, 1] == 0).tolist():
                raws[place] = raw_of_code[int(codes[place])]
        return pl.Series("item", raws, dtype=pl.Binary).cast(pl.String)

    def sort(self, codes: np.ndarray) -> tuple[np.ndarray, pl.Series]:
        """Distinct codes in the order of their raw ids, and these."""
        keys = pl.DataFrame(self._keys[codes], schema=["high", "low"])
        codes = codes[keys.select(pl.arg_sort_by("high", "low")).to_series().to_numpy()]
        raws = self.raws(codes)
        if self._long:
            order = raws.arg_sort()
            codes, raws = codes[order.to_numpy()], raws.gather(order)
        return codes, raws


@dataclass(frozen=True)
class Ranks:
    """The sorted vocabulary and the place of every code in it.

    Attributes:
        ids: the raw ids that stay, sorted.
        of_code: (number of codes,) int32, the row of a code in ids, -1 where it does not stay.
    """

    ids: pl.Series
    of_code: np.ndarray


def rank_ids(codes: IdCodes, stays: np.ndarray) -> Ranks:
    """Sort the ids that stay; the result does not depend on the order of their codes."""
    order, ids = codes.sort(np.flatnonzero(stays))
    of_code = np.full(len(codes), -1, np.int32)
    of_code[order] = np.arange(len(order), dtype=np.int32)
    return Ranks(ids, of_code)


@jit()
def _pack_ids(data: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Words (n, 2) uint64 of ids that follow each other in data; zeros for those too long."""
    words = np.zeros((len(lengths), 2), np.uint64)
    first = 0
    for row in range(len(lengths)):
        length = lengths[row]
        if length <= _MAX_PACKED:
            high = low = np.uint64(0)
            for k in range(first, first + min(8, length)):
                high = (high << np.uint64(8)) | np.uint64(data[k])
            for k in range(first + 8, first + length):
                low = (low << np.uint64(8)) | np.uint64(data[k])
            if length < 8:
                high <<= np.uint64(8 * (8 - length))
            elif length > 8:
                low <<= np.uint64(8 * (16 - length))
            words[row, 0] = high
            words[row, 1] = low | np.uint64(length)
        first += length
    return words


@jit()
def _unpack_ids(words: np.ndarray) -> np.ndarray:
    """The bytes of packed ids, one after the other, each ended by 255, which no text contains."""
    data = np.empty((_MAX_PACKED + 1) * len(words), np.uint8)
    n = 0
    for k in range(len(words)):
        for byte in range(int(words[k, 1] & np.uint64(255))):
            word = words[k, byte >> 3]
            data[n] = (word >> np.uint64(56 - 8 * (byte & 7))) & np.uint64(255)
            n += 1
        data[n], n = 255, n + 1
    return data[:n]


# The mixing of degski64 (https://nullprogram.com/blog/2018/07/31/), of which the first factor is
# the golden ratio of Fibonacci hashing (Knuth, The Art of Computer Programming 3, section 6.4).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_DEGSKI = np.uint64(0xD6E8FEB86659FD93)


@jit()
def _slot(high: np.uint64, low: np.uint64, mask: int) -> int:
    """Where to look for an id first."""
    mixed = (high ^ (low >> np.uint64(29)) ^ low) * _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _DEGSKI
    return int(mixed >> np.uint64(20)) & mask


@jit()
def _encode(
    words: np.ndarray, slots: np.ndarray, keys: np.ndarray, count: int, codes: np.ndarray
) -> int:
    """Fill in the code of every packed id; the new number of codes."""
    mask = len(slots) - 1
    for k in range(len(words)):
        high, low = words[k, 0], words[k, 1]
        slot = _slot(high, low, mask)
        while slots[slot] >= 0 and (keys[slots[slot], 0] != high or keys[slots[slot], 1] != low):
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = count
            keys[count, 0], keys[count, 1] = high, low
            count += 1
        codes[k] = slots[slot]
    return count


@jit()
def _fill(slots: np.ndarray, keys: np.ndarray, count: int) -> None:
    """Put all codes into empty slots; long ids have none."""
    mask = len(slots) - 1
    for code in range(count):
        if keys[code, 1] != 0:
            slot = _slot(keys[code, 0], keys[code, 1], mask)
            while slots[slot] >= 0:
                slot = (slot + 1) & mask
            slots[slot] = code

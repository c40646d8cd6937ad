"""Arrays of one dimension in files of numpy (`.npz`), written and read piece by piece."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from numpy.lib import format as npy

CHUNK = 1 << 20  # entries of a piece


class ArrayFile:
    """A file with the bytes that `numpy.savez` writes, for arrays that are never held whole."""

    def __init__(self, path: Path) -> None:
        self._archive = ZipFile(path, "w", ZIP_STORED, allowZip64=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._archive.close()

    def write(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype, pieces: Iterable[np.ndarray]
    ) -> None:
        """Write an array of a shape, given as pieces of its rows."""
        header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        with self._archive.open(f"{name}.npy", "w", force_zip64=True) as file:
            npy.write_array_header_1_0(file, header)
            for piece in pieces:
                file.write(np.ascontiguousarray(piece, dtype).tobytes())

    def write_whole(self, name: str, array: np.ndarray) -> None:
        """Write an array that is in memory."""
        self.write(name, array.shape, array.dtype, [array])


def stored_pieces(path: Path, *names: str) -> Iterator[tuple[np.ndarray, ...]]:
    """Pieces of arrays of one length, side by side; `path` is a file of `numpy.savez`."""
    with ZipFile(path) as archive:
        files = [archive.open(f"{name}.npy") for name in names]
        dtypes, left = [], 0
        for file in files:
            npy.read_magic(file)
            (left,), _, dtype = npy.read_array_header_1_0(file)
            dtypes.append(dtype)
        while left:
            count = min(left, CHUNK)
            yield tuple(
                np.frombuffer(file.read(count * dtype.itemsize), dtype)
                for file, dtype in zip(files, dtypes, strict=True)
            )
            left -= count

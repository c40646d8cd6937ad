"""The bytes of input files: found by their name, unpacked, in UTF-8.

The first bytes tell how a file is packed, not its name. What is not read is named, with the command
that converts it.
"""

import bz2
import codecs
import glob
import lzma
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard
from isal import isal_zlib

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.foreign import foreign_archive, foreign_form
from recsys_lab.readers.listed_paths import ListedPaths

BLOCK_BYTES = 1 << 20
_ZSTD_BYTES = 1 << 14  # packed; a block of them is at most some hundred times as long
_UNPACKERS: dict[bytes, tuple[str, Callable[[BinaryIO], Iterator[bytes]]]]  # by first bytes, below
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BESIDE = ("readme", "license", "licence")  # names of files that stand beside the data


class DamagedFileError(Exception):
    """A packed file is truncated or corrupt; `kind` is its format, `unpack` unpacks it."""

    def __init__(self, kind: str, unpack: str, reason: object) -> None:
        super().__init__(str(reason))
        self.kind = kind
        self.unpack = unpack


def find_files(path: str) -> list[str]:
    """The files that a path names: a file, a folder of parts, a pattern with `*`, or several.

    In a folder, files whose names begin with `_` or `.` are left out, as Spark's `_SUCCESS`. Of
    several paths each names its own; a file that two of them name is read once.

    Raises:
        CatalogError: there are none, or the path is an address.
    """
    if isinstance(path, ListedPaths):
        return list(dict.fromkeys(file for one in path.each for file in find_files(one)))
    if not path:
        raise CatalogError("path is empty; give the path of the catalogue")
    if _ADDRESS.match(path):
        raise CatalogError(f"{path} is an address: download the file, and give its path")
    place = Path(path).expanduser()
    try:
        if place.is_dir():
            return _files_of_folder(path, place)
        if place.exists():
            return [str(place)]
        if place.is_symlink():
            raise CatalogError(f"{path} is a link to {place.readlink()}, which is not there")
        found = sorted(glob.glob(str(place), recursive=True)) if glob.has_magic(path) else []
    except OSError as error:
        raise CatalogError(
            f"{path} cannot be opened ({error.strerror}); check its rights"
        ) from error
    if found := [x for x in found if Path(x).is_file()]:
        return found
    what = "matches no file" if glob.has_magic(path) else "does not exist"
    raise CatalogError(f"{path} {what}; give the path of the catalogue")


def _files_of_folder(path: str, place: Path) -> list[str]:
    there = sorted(place.iterdir())
    inside = _data_of([x.name for x in there if x.is_file()])
    if not inside and any(x.is_dir() and x.name[0] not in "._" for x in there):
        raise CatalogError(
            f"{path} is a folder of folders; give a pattern that names the files in them, such as "
            f"'{path}/*/*'"
        )
    if not inside:
        raise CatalogError(f"{path} is a folder without files; give the path of a file")
    if len({_kind_of_name(name) for name in inside}) > 1:
        raise CatalogError(
            f"{path} is a folder of files of several kinds ({', '.join(inside[:3])}, ...); give "
            f"the path of a file in it, or a pattern such as '{path}/*{Path(inside[0]).suffix}'"
        )
    return [str(place / name) for name in inside]


def _data_of(names: list[str]) -> list[str]:
    """Paths without hidden files, marks such as `_SUCCESS`, and texts about the data."""
    names = [x for x in names if not any(part[:1] in (".", "_") for part in x.split("/"))]
    data = [x for x in names if not Path(x).name.lower().startswith(_BESIDE)]
    return data or names


def _kind_of_name(name: str) -> str:
    """The endings of a name, without the numbers of parts: `part-00001.csv.gz` gives `.csv.gz`."""
    return "".join(x for x in Path(name).suffixes if not x[1:].isdigit())


def holds_nothing(path: str) -> bool:
    """Whether a file is empty once it is unpacked."""
    try:
        return not any(_unpacked(path))
    except DamagedFileError:
        return False  # whoever reads it says so


def read_bytes(path: str) -> Iterator[bytes]:
    """Blocks of one file, unpacked, as UTF-8 where a mark says that it is UTF-16.

    Raises:
        CatalogError: the file cannot be opened, or its format is not read.
        DamagedFileError: its packing is damaged.
    """
    blocks = _unpacked(path)
    first = next(blocks, b"")
    _refuse_foreign(path, first)
    encoding = _UTF16.get(first[:2])
    if encoding is None:
        if first:
            yield first
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    yield decoder.decode(first[2:]).encode()
    for block in blocks:
        yield decoder.decode(block).encode()
    yield decoder.decode(b"", final=True).encode()


def _unpacked(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            start = file.peek(16)[:16]
            for magic, (kind, unpack) in _UNPACKERS.items():
                if start.startswith(magic):
                    yield from _once_packed(path, kind, _checked(kind, unpack(file)))
                    return
            while block := file.read(BLOCK_BYTES):
                yield block
    except (OSError, ValueError) as error:
        if isinstance(error, CatalogError):
            raise
        raise CatalogError(f"{path} cannot be read ({error}); repair it or give another") from error


def _refuse_foreign(path: str, first: bytes) -> None:
    if found := foreign_form(first):
        what, remedy = found
        raise CatalogError(f"{path} is {what}: {remedy}")


def _once_packed(path: str, kind: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks, unless what was packed is a packed file itself."""
    first = next(blocks, b"")
    for magic, (inner, _) in _UNPACKERS.items():
        if first.startswith(magic):
            raise CatalogError(
                f"{path} is packed twice, by {inner} and by {kind}: unpack it once with "
                f"{_COMMANDS.get(kind, 'unzip -p')} FILE > NEW"
            )
    yield first
    yield from blocks


_COMMANDS = {"gzip": "gzip -dc", "bz2": "bzip2 -dc", "xz": "xz -dc", "zstd": "zstd -dc"}
_DAMAGE: tuple[type[Exception], ...] = (  # type: ignore[assignment]  # isal's stubs
    EOFError,
    lzma.LZMAError,
    zstandard.ZstdError,
    zipfile.BadZipFile,
    isal_zlib.error,
)


def _checked(kind: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from blocks
    except _DAMAGE as error:
        raise DamagedFileError(kind, _COMMANDS.get(kind, "unzip -p"), error) from error
    except OSError as error:
        if kind != "bz2" or error.errno is not None:
            raise
        raise DamagedFileError(kind, _COMMANDS[kind], error) from error  # "Invalid data stream"


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    """Blocks of a gzip file of one or several members; zeros may pad its end.

    A decompressor of its own, since `igzip.open` loses up to a block of sound data when the file
    breaks off, and with it the count of the records that can be rescued.
    """
    data = file.read(BLOCK_BYTES)
    while data:
        member = isal_zlib.decompressobj(wbits=16 + isal_zlib.MAX_WBITS)
        while not member.eof:
            if block := member.decompress(data, BLOCK_BYTES):
                yield block
            data = member.unconsumed_tail
            if not data and len(block) < BLOCK_BYTES and not member.eof:
                data = file.read(BLOCK_BYTES)
                if not data:
                    raise EOFError("the file ends in the middle")
        data = (member.unused_data or file.read(BLOCK_BYTES)).lstrip(b"\0")


def _by(open_file: Callable[[BinaryIO], BinaryIO]) -> Callable[[BinaryIO], Iterator[bytes]]:
    """Blocks of what a library opens as a file."""

    def blocks(file: BinaryIO) -> Iterator[bytes]:
        with open_file(file) as unpacked:
            while block := unpacked.read(BLOCK_BYTES):
                yield block

    return blocks


def _zstd(file: BinaryIO) -> Iterator[bytes]:
    """Blocks of a file of one or several frames.

    The library's own reader of streams takes a truncated file for a complete one.
    """
    data = file.read(_ZSTD_BYTES)
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        while not frame.eof:
            if block := frame.decompress(data):
                yield block
            data = frame.unused_data if frame.eof else file.read(_ZSTD_BYTES)
            if not data and not frame.eof:
                raise EOFError("the file ends in the middle")
        data = data or file.read(_ZSTD_BYTES)


_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def _zip(file: BinaryIO) -> Iterator[bytes]:
    """The files of an archive one after the other, in the order of their names."""
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if found := foreign_archive(names):
            raise CatalogError(f"{archive.filename} is {found[0]}: {found[1]}")
        names = sorted(_data_of(names))
        if len({_kind_of_name(name) for name in names}) > 1:
            raise CatalogError(
                f"{archive.filename} holds files of several kinds ({', '.join(names[:3])}): unpack "
                "it with unzip, and give the path of one"
            )
        for name in names:
            if archive.getinfo(name).flag_bits & 1:
                raise CatalogError(f"{archive.filename} is encrypted: unpack it with unzip")
            if archive.getinfo(name).compress_type not in _ZIP_METHODS:
                raise CatalogError(
                    f"{archive.filename} is packed in a way that is not read: unpack it with unzip"
                )
            last = b"\n"
            with archive.open(name) as member:
                while block := member.read(BLOCK_BYTES):
                    yield block
                    last = block[-1:]
            if last != b"\n":
                yield b"\n"


_UNPACKERS = {
    b"\x1f\x8b": ("gzip", _gzip),
    **{b"BZh%d1AY&SY" % n: ("bz2", _by(bz2.open)) for n in range(1, 10)},  # type: ignore[arg-type]
    b"\xfd7zXZ\0": ("xz", _by(lzma.open)),  # type: ignore[arg-type]
    b"(\xb5/\xfd": ("zstd", _zstd),
    b"PK\x03\x04": ("zip", _zip),
}

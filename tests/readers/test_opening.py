"""Files as they are packed, found and encoded; what is not read is named."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.lines import read_batches, read_chunks
from recsys_lab.readers.opening import find_files

CONTENT = "".join(f"i{k},é{k}\n" for k in range(5000)).encode()


def zipped(content: bytes, *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("edges.csv",):
            archive.writestr(name, content)
    return packed.getvalue()


def in_frames(content: bytes) -> bytes:
    half = len(content) // 2
    return b"".join(zstandard.compress(part) for part in (content[:half], content[half:]))


PACKED = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "frames": in_frames,
    "zip": zipped,
}


def read(path: Path) -> list[bytes | None]:
    return [line for batch in read_batches(str(path)) for line in batch]


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("name", ["x.csv", "x.gz", "x"])
def test_the_first_bytes_tell_how_a_file_is_packed(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(PACKED[kind](CONTENT))
    assert read(path) == CONTENT.splitlines()
    assert b"".join(read_chunks(str(path))) == CONTENT


@pytest.mark.parametrize("kind", ["gzip", "bz2", "xz", "zstd", "frames"])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, kind: str, share: float) -> None:
    packed = PACKED[kind](CONTENT)
    path = tmp_path / "x"
    path.write_bytes(packed[: int(share * len(packed))])
    with pytest.raises(CatalogError, match=r"data is truncated or corrupt after [\d,]+ rec"):
        read(path)
    with pytest.raises(CatalogError, match="truncated or corrupt"):
        list(read_chunks(str(path)))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_utf_16_is_read_by_its_mark(tmp_path: Path, encoding: str) -> None:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (tmp_path / "x").write_bytes(mark + CONTENT.decode().encode(encoding))
    expected = CONTENT.splitlines()
    if encoding == "utf-8-sig":  # the readers of tables take the mark off
        expected[0] = b"\xef\xbb\xbf" + expected[0]
    assert read(tmp_path / "x") == expected


def test_old_line_ends(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a,b\rc,d\r")
    assert read(tmp_path / "x") == [b"a,b", b"c,d"]


def tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("edges.csv")
        member.size = len(CONTENT)
        archive.addfile(member, io.BytesIO(CONTENT))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tar(), "is a tar archive: unpack it with tar xf"),
        (gzip.compress(tar()), "is a tar archive"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(30), "is a 7z archive.*7z x FILE"),
        (b"PAR1" + bytes(30), "is a Parquet file"),
        (
            zipped(b"x", "[Content_Types].xml", "xl/a.xml"),
            "is a spreadsheet: save its",
        ),
        (zipped(b"x", "a.csv", "b.json"), r"files of several kinds \(a.csv, b.json\)"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(CatalogError, match=message):
        read(tmp_path / "x")


def test_parts_are_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "edges"
    folder.mkdir()
    (folder / "part-00001.csv").write_bytes(b"c,d")
    (folder / "part-00000.csv").write_bytes(b"a,b\n")
    (folder / "part-00002.csv").write_bytes(gzip.compress(b"e,f\n"))
    (folder / "_SUCCESS").touch()
    (folder / ".part-00000.csv.crc").write_bytes(b"x")
    expected = [b"a,b", b"c,d", b"e,f"]
    assert read(folder) == expected
    assert read(tmp_path / "e*" / "part-*.csv") == expected
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [line for batch in read_batches("~/edges") for line in batch] == expected
    archive = tmp_path / "parts.zip"
    archive.write_bytes(zipped(b"a,b", "p/part-0.csv", "p/part-1.csv", "__MACOSX/p/._part-0.csv"))
    assert read(archive) == [b"a,b", b"a,b"]


def test_a_name_that_leads_to_no_file(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "mixed").mkdir()
    for name in ("a.csv", "b.json"):
        (tmp_path / "mixed" / name).touch()
    for path, message in (
        ("https://example.com/edges.csv", "is an address: download the file"),
        (f"{tmp_path}/*.csv", "matches no file"),
        (f"{tmp_path}/empty", "is a folder without files"),
        (f"{tmp_path}/mixed", r"of several kinds \(a.csv, b.json"),
        (f"{tmp_path}/nothing", "does not exist"),
    ):
        with pytest.raises(CatalogError, match=message):
            find_files(path)
    odd = tmp_path / "a [1]*.csv"
    odd.touch()
    assert find_files(str(odd)) == [str(odd)]  # a file of that name comes before the pattern

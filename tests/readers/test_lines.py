import gzip
import logging
import os
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.lines import read_batches


def read(path, **options):
    return [line for batch in read_batches(str(path), **options) for line in batch]


@pytest.fixture
def write(tmp_path):
    def write(content: bytes):
        path = tmp_path / "lines"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\r\n\r\nb", [b"a", b"", b"b"]),
        (b"\n", [b""]),
        (b"a\0b\n\xff\xfe", [b"a\0b", b"\xff\xfe"]),
        (b"0123456789\r\n0123456789a\nb", [b"0123456789", None, b"b"]),
        (b"0123456789\r", [b"0123456789"]),
        (b"b\n0123456789a", [b"b", None]),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_lines_of_small_files(write, content, lines, pack):
    assert read(write(pack(content)), max_line_bytes=10) == lines


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(min_size=1), block=st.integers(1, 9), longest=st.integers(0, 9))
def test_blocks_do_not_matter(write, monkeypatch, content, block, longest):
    monkeypatch.setattr("recsys_lab.readers.opening.BLOCK_BYTES", block)
    if b"\n" not in content:
        content = content.replace(b"\r", b"")  # alone, it ends lines: below
    content = b"x" + content  # the first bytes are no mark of a packed file
    expected = content.removesuffix(b"\n").split(b"\n")
    ends = [line.removesuffix(b"\r") for line in expected]
    kept = [line if len(line) <= longest else None for line in ends]
    assert read(write(content), max_line_bytes=longest) == kept
    assert read(write(gzip.compress(content)), max_line_bytes=100) == [
        line.removesuffix(b"\r") for line in expected
    ]


def test_long_reading_is_told(write, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("recsys_lab.readers.lines._LOG_EVERY", 0.0)
    monkeypatch.setattr("recsys_lab.readers.opening.BLOCK_BYTES", 4)
    read(write(b"a\nb\nc\nd\ne"))
    assert "2 lines read" in caplog.text
    assert "4 lines read" in caplog.text


def test_several_members_and_padding(write):
    member = gzip.compress(b"a\n")
    assert read(write(member + member + b"\0" * 100)) == [b"a", b"a"]


def test_a_hundred_megabytes_in_one_line_are_not_held(write):
    path = write(gzip.compress(b"x" * 100_000_000 + b"\nb\n", compresslevel=1))
    tracemalloc.start()
    lines = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lines == [None, b"b"]
    assert peak < 30_000_000


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-9],
        lambda packed: packed[:-4],
        lambda packed: packed[:-8] + b"12345678",
        lambda packed: packed[:40] + b"\xff" * 40 + packed[80:],
        lambda packed: packed + b"no gzip",
    ],
    ids=["cut", "without length", "check sum", "middle", "rubbish behind"],
)
def test_damaged_gzip_is_named(write, damage):
    path = write(damage(gzip.compress(os.urandom(3000).hex().encode() + b"\n")))
    with pytest.raises(CatalogError, match=rf"{path}.*truncated or corrupt after \d records.*head"):
        read(path)


def test_truncated_digital_music_names_the_records(real_data):
    path = real_data("amazon_digital_music/meta_Digital_Music.truncated.json.gz")
    with pytest.raises(CatalogError, match=r"truncated\.json\.gz.*after 7,419 records"):
        read(path)


def test_files_that_cannot_be_read_are_named(tmp_path, write, monkeypatch):
    with pytest.raises(CatalogError, match=r"nowhere does not exist"):
        read(tmp_path / "nowhere")
    with pytest.raises(CatalogError, match=r"is a folder"):
        read(tmp_path)
    for empty in (b"", gzip.compress(b"")):
        path = write(empty)
        with pytest.raises(CatalogError, match=rf"{path} is empty"):
            read(path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(CatalogError, match=rf"{path} cannot be read .*Permission denied"):
        read(path)

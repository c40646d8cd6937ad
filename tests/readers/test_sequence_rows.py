"""Ready-made sequences in the forms that users have."""

import gzip
import json
from pathlib import Path

import pytest

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.sequence_rows import read_sequences

ROWS = [[f"B{k}", f"B{k + 1}", f"B{k + 5}"][: 2 + k % 2] for k in range(30)]
EVENTS = [(f"s{k}", place, item) for k, row in enumerate(ROWS) for place, item in enumerate(row)]


def text(form: str) -> str:
    if form == "json":
        return "".join(json.dumps(row) + "\n" for row in ROWS)
    if form == "named":
        return "".join(f"u{k}\t{','.join(row)}\n" for k, row in enumerate(ROWS))
    if form == "events":
        lines = [f"{s},{1000 + place},{item}\n" for s, place, item in reversed(EVENTS)]
        return "session_id,timestamp,item_id\n" + "".join(lines)
    return "".join(form.join(row) + "\n" for row in ROWS)


@pytest.mark.parametrize("form", ["\t", ",", ", ", ";", " ", "  ", "json", "named", "events"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_forms(tmp_path: Path, form: str, pack) -> None:
    path = tmp_path / "sequences"
    path.write_bytes(pack(b"\xef\xbb\xbf" + text(form).replace("\n", "\r\n").encode()))
    found = read_sequences(str(path))
    rows: dict[int, list[str]] = {}
    for number, item in zip(found.sequence.tolist(), found.items, strict=True):
        rows.setdefault(number, []).append(item)
    expected = ROWS[::-1] if form == "events" else ROWS  # sessions come in the order of the file
    assert sorted(rows.values()) == sorted(expected)
    assert (found.sequence[1:] >= found.sequence[:-1]).all()
    assert "30 sequences" in found.said


def test_ids_stay_as_written(tmp_path: Path) -> None:
    odd = ["a\u2028b", "c\x85d", "e\x0bf", "g h", "0000013714", "nan", "é"]
    (tmp_path / "s").write_text("\t".join(odd) + "\n")
    assert read_sequences(str(tmp_path / "s")).items.to_list() == odd


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n \n", "holds no sequence"),
        (b"a b\n\xff c\n", "line 2 is not UTF-8"),
        (b'["a", "b"]\nc d\n', "'c d' is no JSON list of items"),
        (b"session,item\ns,a\nt,b,c\n", "'t,b,c' has 3 columns, the header session, item has 2"),
    ],
)
def test_what_is_no_sequence_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(CatalogError, match=message):
        read_sequences(str(tmp_path / "s"))

"""Parts of a catalogue that are read apart from each other and joined."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.ids import IdCodes
from recsys_lab.readers.ray_reading import RayReading
from tests.readers.edge_cases import edge_source
from tests.readers.test_listed_paths import RECORDS, amazon, same


def write(folder: Path, *texts: str) -> str:
    for k, text in enumerate(texts):
        (folder / f"{k}.txt").write_text(text)
    return str(folder / "*.txt")


def test_parts_of_other_processes_join_to_the_whole(tmp_path: Path) -> None:
    (tmp_path / "whole").write_text("".join(RECORDS))
    source = amazon(write(tmp_path, *RECORDS))
    parts = [pickle.loads(pickle.dumps(source.read_part(*p))) for p in source.parts()]  # noqa: S301
    assert len(parts) == 3
    same(source.join(parts), amazon(str(tmp_path / "whole")).read())


def test_parts_of_edges_join_to_the_whole(tmp_path: Path) -> None:
    texts = ("a long_id_of_more_than_15_bytes 2\nb a 1\n", "b a 1\nc a 3\n")
    (tmp_path / "whole").write_text("".join(texts))
    source = edge_source(write(tmp_path, *texts))
    parts = [pickle.loads(pickle.dumps(source.read_part(*p))) for p in source.parts()]  # noqa: S301
    assert len(parts) == 2
    records = source.join(parts)
    assert records.account.notes["repeated lines"] == 1
    same(records, edge_source(str(tmp_path / "whole")).read())


def test_codes_are_taken_by_the_ids_and_survive_another_process() -> None:
    one, other = IdCodes(), IdCodes()
    one.encode(["b", "an id of more than fifteen bytes"])
    other.encode(["an id of more than fifteen bytes", "a", "b"])
    other = pickle.loads(pickle.dumps(other))  # noqa: S301
    assert sorted(one.take(other).tolist()) == [0, 1, 2]
    assert one.raws(one.take(other)).to_list() == other.raws(np.arange(3)).to_list()
    assert other.encode(["b", "c"]).tolist() == [other.encode(["b"])[0], 3]


def test_a_bad_line_is_named_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"the first is line 2 of .*1\.txt 'a b x'"):
        edge_source(write(tmp_path, "a b 1\nb c 1\n", "c d 1\na b x\n")).read()
    with pytest.raises(CatalogError, match=r"the first is line 1 of .*1\.txt '\{nothing'"):
        amazon(write(tmp_path, RECORDS[0], "{nothing\n")).read()


def test_a_part_with_columns_in_another_order_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "source\ttarget\na\tb\n", "target\tsource\na\tb\n")
    with pytest.raises(CatalogError, match=r"1\.txt has the columns of the first file in another"):
        edge_source(path).read()


def test_each_part_may_begin_with_comments_and_a_header(tmp_path: Path) -> None:
    top = "# made by hand\nsource\ttarget\n"
    records = edge_source(write(tmp_path, f"{top}a\tb\n", f"# more\n{top}b\tc\n")).read()
    assert records.items["item"].to_list() == ["a", "b", "c"]
    assert dict(records.account.dropped) == {"comment": 3, "header": 2}


def test_ray_refuses_what_one_process_alone_reads() -> None:
    with pytest.raises(CatalogError, match=r"edges \(catalog=amazon, catalog=edges\), got int"):
        RayReading().check(3)

"""A catalogue in several files, prepared by tasks of Ray as by one process."""

import json
from pathlib import Path

import pytest

from recsys_lab.catalog.prepared import prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.ray_reading import RayReading
from tests.readers.test_listed_paths import amazon

pytest.importorskip("ray", reason="needs the extra ray")
pytestmark = pytest.mark.soak


def test_ray_writes_the_bytes_of_one_process(tmp_path: Path) -> None:
    for k in range(3):
        lines = (
            json.dumps({"asin": f"{i}", "also_buy": [f"{(7 * i + j) % 90}" for j in range(4)]})
            for i in range(30 * k, 30 * k + 30)
        )
        (tmp_path / f"{k}.json").write_text("\n".join(lines))
    source, options = amazon(f"{tmp_path}/*.json"), SplitOptions("pairs", 0.1, 0.1, ["uniform"], 0)
    here = prepare(source, options, tmp_path / "here")
    there = prepare(source, options, tmp_path / "there", RayReading())
    assert here.catalog_folder.name == there.catalog_folder.name
    for file in (tmp_path / "here").rglob("*.*"):
        if file.is_file():
            copy = tmp_path / "there" / file.relative_to(tmp_path / "here")
            assert file.read_bytes() == copy.read_bytes(), file
    (tmp_path / "1.json").write_text("{nothing\n")
    with pytest.raises(CatalogError, match=r"line 1 of .*1\.json"):
        prepare(source, options, tmp_path / "there", RayReading())

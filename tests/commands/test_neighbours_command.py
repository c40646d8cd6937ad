"""`recsys-lab neighbours`."""

from pathlib import Path

import polars as pl
from typer.testing import CliRunner

from recsys_lab.commands.app import app
from tests.vectors.stored import store


def test_lists_of_all_items(tmp_path: Path) -> None:
    run, out = store(tmp_path / "run"), tmp_path / "lists.parquet"
    done = CliRunner().invoke(app, ["neighbours", str(run), "--k", "2", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(out)
    assert "4 of 4 items" in done.stderr
    assert "8 neighbours of 4 items; 1 cannot be scored and have none" in done.stderr
    assert pl.read_parquet(out)["rank"].to_list() == [1, 2] * 4


def test_refusals_are_errors_of_the_room(tmp_path: Path) -> None:
    run = store(tmp_path / "run")
    words = ["neighbours", str(run), "--out", str(tmp_path / "x"), "--min-recall", "95"]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, ValueError)
    assert "min_recall must be from 0 to 1, got 95" in str(done.exception)

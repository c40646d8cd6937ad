from pathlib import Path

from typer.testing import CliRunner

from recsys_lab.commands.app import app
from tests.run_folder_cases import metrics, write_run


def test_it_shows_and_asks_before_it_removes(tmp_path: Path) -> None:
    write_run(tmp_path / "good", 0, metrics())
    bad = write_run(tmp_path / "bad", log="12:00:00 ERROR   no luck\n")
    words = ["prune", str(tmp_path), "--hours", "0"]
    done = CliRunner().invoke(app, words)  # no terminal, so nobody can agree
    assert done.exit_code == 0
    assert f"unfinished run  {bad}: failed: no luck" in done.stdout
    assert "nothing was removed" in done.stdout
    assert bad.is_dir()
    assert "nothing to remove" in CliRunner().invoke(app, words[:2]).stdout  # it is new
    assert "removed 1 of 1" in CliRunner().invoke(app, [*words, "--yes"]).stdout
    assert [path.name for path in tmp_path.iterdir()] == ["good"]

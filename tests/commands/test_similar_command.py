"""`recsys-lab similar` as a user types it."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from recsys_lab.commands.app import app
from recsys_lab.commands.terminal import printable
from recsys_lab.results.latest_run import resolve_run
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.store import write_embeddings
from tests.documented import blocks
from tests.run_cases import ROOT
from tests.run_folder_cases import metrics, write_run
from tests.vectors.stored import side_info_content, small_content, store

EVIL = "[bold]big[/bold] \x1b[31mred\x1b[0m\x07\nline :smile: \u202egnp.exe"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store(tmp_path_factory.mktemp("similar") / "run")


def call(*words: object, width: int = 120) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    done = CliRunner().invoke(app, ["similar", *map(str, words)], env={"COLUMNS": str(width)})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_a_list_has_its_item_its_measure_and_its_relations(run: Path) -> None:
    status, out, err = call(run, "0007")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "Similar to 0007, Red shoe, Acme, Shoes, 10.00"
    assert lines[1] == f"score: center_context; {run}"
    assert lines[2].rstrip().endswith(" in training")
    found = Embeddings.load(run).similar("0007")
    rows = [line.split() for line in lines[4:]]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    for line, one in zip(lines[4:], found.iter_rows(named=True), strict=True):
        assert f" {one['item']} " in line
        assert f"{one['score']:.3f}" in line
    assert sum("also bought, bought together" in line for line in lines) == 1
    assert sum(line.rstrip().endswith(" -") for line in lines) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ["a b", "nan", "c"]),
        (("--k", "1"), ["a b"]),
        (("--not-known",), ["nan"]),
        (("--brand", "ACME"), ["a b"]),
        (("--category", "hats"), ["c"]),
        (("--min-price", "6"), ["a b"]),
        (("--max-price", "6"), ["nan"]),
        (("--diverse", "1"), ["a b", "c", "nan"]),
    ],
    ids=str,
)
def test_options_choose(run: Path, words: tuple, expected: list[str]) -> None:
    status, out, err = call(run, "0007", "--json", *words)
    assert (status, err) == (0, "")
    found = [one["item"] for one in json.loads(out)["answers"][0]["similar"]]
    assert found == expected


def test_the_document_has_what_the_table_has(run: Path) -> None:
    status, out, _ = call(run, "0007", "é😀", "red", "--json", "--explain", "--k", 2)
    document = json.loads(out)
    assert status == 1
    assert list(document) == ["run", "score", "ndcg@10", "group", "note", "answers"]
    assert document["run"] == str(run)
    assert document["note"] is None
    one, cold, several = document["answers"]
    assert one["item"] == {
        "item": "0007", "title": "Red shoe", "brand": "Acme", "categories": [["Shoes"]],
        "price": 10.0, "seen": True,
    }  # fmt: skip
    found = Embeddings.load(run).similar("0007", 2)
    assert [list(x) for x in one["similar"]] == [[*found.columns, "parts"]] * 2
    for x, row in zip(one["similar"], found.iter_rows(named=True), strict=True):
        assert {name: x[name] for name in row} == row
        assert list(x["parts"]) == ["vectors", "popularity"]
        assert sum(x["parts"].values()) == pytest.approx(x["score"], abs=1e-4)
    assert cold["similar"] == []
    assert cold["error"].startswith("item 'é😀' has no similar items: no training pair holds it")
    assert [x["item"] for x in several["choices"]] == ["0007", "c"]
    assert several["num_choices"] == 2
    assert several["item"] is several["error"] is None


def test_the_exit_status_tells_choices_from_errors(run: Path) -> None:
    status, out, err = call(run, "red")
    assert (status, err) == (3, "")
    assert out.startswith("2 titles fit 'red' best: name one by its id\n")
    assert "Red shoe" in out
    assert "Red hat" in out
    assert call(run, "blue SHOE")[0] == 0
    status, out, err = call(run, "red", "purple", "blue")
    assert status == 1
    assert "Similar to a b, Blue shoe" in out
    assert err == "no item has the id 'purple' or a title with these words\n"


def test_an_id_may_begin_with_a_sign_or_be_a_word_of_a_title(tmp_path: Path) -> None:
    content = small_content()
    names = pl.Series("item", ["--k", "-1", "Red", "[b]", "é 😀"])
    write_embeddings(tmp_path / "e", content._replace(items=content.items.with_columns(names)))
    status, out, _ = call(tmp_path / "e", "--k", 1, "--", "--k", "-1", "Red", "[b]")
    assert status == 0
    heads = [line for line in out.splitlines() if line.startswith("Similar")]
    assert [line.split(",")[0] for line in heads] == [
        "Similar to --k", "Similar to -1", "Similar to Red", "Similar to [b]"
    ]  # fmt: skip


def test_titles_are_printed_as_they_are_and_harmless(tmp_path: Path) -> None:
    content = small_content()
    evil = content.items.with_columns(title=pl.lit(EVIL), brand=pl.lit("\x1b]0;x\x07[link=x]"))
    write_embeddings(tmp_path / "e", content._replace(items=evil))
    for words in (("0007",), ("big",), ("0007", "--explain")):
        _, out, _ = call(tmp_path / "e", *words, width=200)
        assert "[bold]big[/bold]" in out
        assert ":smile:" in out
        assert not set(out) & set("\x1b\x07\r\u202e")
    _, out, _ = call(tmp_path / "e", "0007", "--json")
    assert json.loads(out)["answers"][0]["similar"][0]["title"] == EVIL
    assert "\x1b" not in out
    assert call(tmp_path / "e", "\x1b[31mnone")[2].isprintable() is False  # its line end
    assert "\x1b" not in call(tmp_path / "e", "\x1b[31mnone")[2]


def test_an_argument_of_any_bytes_is_looked_up(run: Path) -> None:
    status, out, _ = call(run, "\udcff", "--json")
    assert status == 1
    assert json.loads(out)["answers"][0]["error"].startswith("no item has the id '?'")


def test_printable_texts() -> None:
    family = "👩\u200d👩\u200d👧 naïve 日本"
    assert printable(family) == family
    assert printable("a\tb\nc\u2028d") == "a b c d"
    assert printable("\x00\x9b\u202e\ufeff") == "\N{REPLACEMENT CHARACTER}" * 4
    assert printable(None) == ""


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_a_table_keeps_its_numbers_on_a_narrow_terminal(tmp_path: Path, width: int) -> None:
    content, _, _ = side_info_content()
    long = content.items.with_columns(
        title=pl.lit("A very long title that does not find room in a narrow terminal " * 3),
    )
    write_embeddings(tmp_path / "embeddings", content._replace(items=long))
    for words in ((), ("--explain",)):
        status, out, _ = call(tmp_path, "0007", *words, width=width)
        assert status == 0
        table = out.splitlines()[2:]
        if not words or width >= 80:
            assert max(map(len, table)) <= width
        heads = table[0].split()
        assert len(heads) == len(set(heads))
        for one in json.loads(call(tmp_path, "0007", "--json", *words)[1])["answers"][0]["similar"]:
            line = next(line for line in table if f" {one['item']} " in line)
            for number in (one["score"], *one.get("parts", {}).values()):
                assert f"{number:.3f}" in line or f"{number:.4f}" in line


def test_a_cold_item_is_answered_from_its_side_information(tmp_path: Path) -> None:
    content, _, _ = side_info_content()
    write_embeddings(tmp_path / "embeddings", content)
    status, out, _ = call(tmp_path, "é😀", "--explain")
    assert status == 0
    assert "cold: from its side information, no training pair holds it" in out
    _, out, _ = call(tmp_path, "0007")
    assert next(line for line in out.splitlines() if " é😀 " in line).rstrip().endswith(" cold")


def test_a_score_without_parts_is_shown_whole(tmp_path: Path) -> None:
    content = small_content()
    tables = content.tables._replace(bias=content.tables.bias * 0)
    write_embeddings(tmp_path / "embeddings", content._replace(tables=tables))
    status, out, err = call(tmp_path, "0007", "--explain")
    assert status == 0
    assert "Similar to 0007" in out
    assert err.startswith("the score is one product of two vectors: it has no parts to show")


def test_a_filter_that_leaves_nothing_is_said(run: Path) -> None:
    status, out, _ = call(run, "0007", "--brand", "Zeta", "--min-price", "9")
    assert status == 0
    assert out.splitlines()[-1] == "no other item fits"


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LC_ALL": "C", "PYTHONUTF8": "0"}
    return subprocess.run(
        [sys.executable, "-m", "recsys_lab", "similar", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
    )


def test_the_newest_run_and_sentences_with_exit_status_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = command("latest", "0007", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(b"there is no finished run in outputs/train/runs or ")
    for number, name in enumerate(("z_first", "a_second", "b_unfinished")):
        folder = store(tmp_path / "outputs" / "train" / "runs" / name)
        if name != "b_unfinished":
            write_run(folder, number, metrics())
            os.utime(folder / "metrics.json", (number, number))
    done = command("latest", "0007", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)  # UTF-8 whatever the locale
    assert document["run"] == "outputs/train/runs/a_second"
    monkeypatch.chdir(tmp_path)
    for words in (["export", "--format", "npy"], ["neighbours"]):  # as every command of a run
        called = CliRunner().invoke(app, [*words, "latest", "--out", "written.npy"])
        assert called.exit_code == 0, called.output
    done = command("latest", "0007", "--k", "0", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, b"k must be >= 1, got 0\n")


def test_a_folder_of_that_name_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latest").mkdir()
    assert resolve_run(Path("latest")) == Path("latest")
    assert resolve_run(Path("other")) == Path("other")


def test_the_python_of_the_page_runs(run: Path, tmp_path: Path) -> None:
    page = ROOT / "docs" / "recommending.md"
    (text,) = [text for _, language, text in blocks(page) if language == "python"]
    text = text.replace('"RUN"', repr(str(run))).replace("deluxe cork bottle norvex", "blue shoe")
    (tmp_path / "page.py").write_text(text)
    names = runpy.run_path(str(tmp_path / "page.py"))
    assert names["item"] == "a b"

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from recsys_lab.report.__main__ import main
from recsys_lab.report.comparison import compare
from recsys_lab.report.tables import runs_to_csv, to_csv
from recsys_lab.results.run_folder import find_run_folders, read_run
from tests.forked import run_forked
from tests.run_cases import ROOT
from tests.run_folder_cases import BASELINES, cold_metrics, metrics, write_run


def comparison_of(*folders):
    return compare([read_run(folder) for folder in find_run_folders(folders)])


def written_by_main(folder, capsys):
    assert main([str(folder)]) == 0
    out = folder / "comparison"
    assert capsys.readouterr().out.splitlines()[-1] == str(out / "comparison.html")
    return out


def test_runs_that_differ_in_seed_and_paths_are_one_experiment(tmp_path):
    qualities = [0.2, 0.3, 0.25]
    for seed, quality in enumerate(qualities):
        write_run(tmp_path / f"{seed}_run", seed, metrics(seed, quality))
    write_run(tmp_path / "3_run", 0, metrics(0, 0.1), embedding_dim=64)
    (table,) = comparison_of(tmp_path).tables
    first, second = table.experiments
    assert (first.seeds, second.seeds) == ([0, 1, 2], [0])
    value = first.values["ndcg@10/all"]
    assert value.mean == pytest.approx(np.mean(qualities))
    assert value.deviation == pytest.approx(np.std(qualities, ddof=1))
    assert value.bounds == pytest.approx((np.mean(qualities) - 0.05, np.mean(qualities) + 0.05))
    assert second.values["ndcg@10/all"].deviation is None
    assert first.label == "skipgram on pairs embedding_dim=8"
    assert second.label == "skipgram on pairs embedding_dim=64"
    assert "auc/uniform/one_cold" not in first.values
    assert table.title == "meta_Toys, split by pairs: 100 items, 1,000 pairs"


def test_a_preset_names_its_experiment_and_choices_tell_two_apart(tmp_path):
    write_run(tmp_path / "a", values=metrics(), choices={"experiment": "node2vec"})
    write_run(tmp_path / "b", values=metrics(), choices={"schedule": "linear"}, dropout=1)
    write_run(tmp_path / "c", values=metrics(), choices={"schedule": "cosine"}, dropout=2)
    (table,) = comparison_of(tmp_path).tables
    assert {entry.label for entry in table.experiments} == {
        "node2vec",
        "skipgram on pairs schedule=linear dropout=1",
        "skipgram on pairs schedule=cosine dropout=2",
    }


def test_baselines_stand_once_for_each_split(tmp_path):
    for seed in range(3):
        write_run(tmp_path / f"a{seed}", seed, metrics(seed))
    (table,) = comparison_of(tmp_path).tables
    assert [entry.label for entry in table.baselines] == [
        "popularity",
        "Adamic-Adar",
        "walk proximity",
    ]
    levels = [entry.values["ndcg@10/all"].mean for entry in table.baselines]
    assert levels == list(BASELINES.values())
    assert not any("differ" in note for note in table.notes)


def test_baselines_that_differ_within_a_split_are_said(tmp_path):
    write_run(tmp_path / "a", 0, metrics(0))
    odd = metrics(1) | {"baseline/popularity/ndcg@10/all": 0.5}
    write_run(tmp_path / "b", 1, odd)
    (table,) = comparison_of(tmp_path).tables
    assert any("baselines of b differ from those shown" in note for note in table.notes)


def test_runs_that_are_no_better_than_chance_are_said(tmp_path):
    for seed, (name, level) in enumerate([("a", "chance"), ("b", None), ("c", "popularity")]):
        write_run(tmp_path / name, seed, metrics(seed) | {"validation/no_better_than": level})
    (table,) = comparison_of(tmp_path).tables
    notes = [note for note in table.notes if note.startswith("No better")]
    assert notes == [f"No better than {level} on validation pairs: {name}."
                     for level, name in (("chance", "a"), ("popularity", "c"))]  # fmt: skip


@pytest.mark.parametrize("other", [{"split": "split-b"}, {"vocabulary": "others"}])
def test_runs_on_other_data_have_a_table_and_are_never_averaged(tmp_path, other):
    write_run(tmp_path / "a", 0, metrics(0, 0.2))
    write_run(tmp_path / "b", 1, metrics(1, 0.3))
    write_run(tmp_path / "c", 2, metrics(2, 0.9, **other))
    comparison = comparison_of(tmp_path)
    first, second = comparison.tables
    assert first.title != second.title
    assert first.experiments[0].values["ndcg@10/all"].mean == pytest.approx(0.25)
    assert second.experiments[0].values["ndcg@10/all"].mean == pytest.approx(0.9)
    assert comparison.problems == []  # another split, as of a cold-start run, is no failure


def test_tables_of_equal_titles_say_what_differs(tmp_path):
    for number, name in enumerate(("a", "b")):
        folder = write_run(tmp_path / name, 0, metrics(0, split=name))
        config = folder / ".hydra" / "config.yaml"
        config.write_text(config.read_text().replace("by: pairs", f"by: pairs\n  seed: {number}"))
    titles = [table.title for table in comparison_of(tmp_path).tables]
    title = "meta_Toys, split by pairs: 100 items, 1,000 pairs"
    assert titles == [f"{title} (split.seed=0)", f"{title} (split.seed=1)"]


def test_missing_seeds_and_repeated_runs_are_listed(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / f"a{seed}", seed, metrics(seed))
    write_run(tmp_path / "b", 0, metrics(0, 0.1), embedding_dim=64)
    write_run(tmp_path / "z", 0, metrics(0, 0.5))
    comparison = comparison_of(tmp_path)
    first = comparison.tables[0].experiments[0]
    assert [run.folder.name for run in first.runs] == ["z", "a1"]
    reasons = {Path(p.name).name: p.reason for p in comparison.problems}
    assert reasons["a0"] == "repeated: z has the same settings and seed, and is used"
    assert reasons["skipgram on pairs embedding_dim=64"] == "missing: no finished run of seed 1"


def test_a_slice_of_a_handful_of_pairs_gets_no_column(tmp_path):
    for name, count in (("few", 1), ("many", 40)):
        counts = {"count/test/all": 1000, "count/test/one_cold": count}
        values = metrics(**{"baseline/popularity/auc/uniform/one_cold": 0.4}) | counts
        write_run(tmp_path / name / "run", values=values)
    shown = {
        name: [column.key for column in comparison_of(tmp_path / name).tables[0].columns]
        for name in ("few", "many")
    }
    assert set(shown["many"]) - set(shown["few"]) == {"auc/uniform/one_cold"}


def test_csv_reads_back_what_was_measured(tmp_path):
    label = 'a "quoted", name\nin two lines'
    for seed in (0, 1):
        choices = {"experiment": label}
        write_run(tmp_path / f"a{seed}", seed, metrics(seed, 0.2 + seed / 7), choices=choices)
    rows = list(csv.DictReader(io.StringIO(to_csv(comparison_of(tmp_path)))))
    assert [row["kind"] for row in rows] == ["experiment"] + ["baseline"] * 3
    assert rows[0]["label"] == label
    assert (rows[0]["seeds"], rows[0]["n"], rows[0]["split_hash"]) == ("0 1", "2", "split-a")
    assert float(rows[0]["ndcg@10/all/mean"]) == np.mean([0.2, 0.2 + 1 / 7])
    assert rows[0]["auc/uniform/one_cold/mean"] == ""
    assert rows[1]["ndcg@10/all/deviation"] == ""


def test_csv_of_runs_holds_folders_settings_and_every_metric(tmp_path):
    choices = {"experiment": "=one"}
    write_run(tmp_path / "a", 0, metrics(0, **{"test/hr@7/seen": 0.125}), choices=choices, ks=[1])
    write_run(tmp_path / "b", 1, metrics(1, 0.5, split="other"), choices=choices, ks=[1])
    write_run(tmp_path / "c", 2, log="10:00:01 ERROR   stopped by SIGTERM\n", choices=choices)
    rows = list(csv.DictReader(io.StringIO(runs_to_csv(comparison_of(tmp_path)))))
    assert [row["folder"] for row in rows] == [str(tmp_path / name) for name in "abc"]
    assert [row["seed"] for row in rows] == ["0", "1", "2"]
    assert [row["label"] for row in rows] == ["=one", "=one", ""]
    assert [row["problem"] for row in rows] == ["", "", "interrupted"]
    assert [row["model.embedding_dim"] for row in rows] == ["8"] * 3
    assert [row["model.ks"] for row in rows] == ["[1]", "[1]", ""]
    assert [row["hash/split"] for row in rows] == ["split-a", "other", ""]
    first = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert {n: rows[0][n] for n in first} == {
        name: "" if value is None else str(value) for name, value in first.items()
    }


def test_item_vectors_stand_below_their_model_and_older_runs_have_no_such_row(tmp_path, capsys):
    for seed, level in ((0, 0.1), (1, 0.2)):
        values = {f"item_vectors/{n}": level for n in ("ndcg@10/all", "coverage/all")}
        write_run(tmp_path / f"a{seed}", seed, metrics(seed, **values))
    write_run(tmp_path / "old", 0, metrics(0, 0.1), embedding_dim=64)
    write_run(tmp_path / "old1", 1, metrics(1, 0.1), embedding_dim=64)
    (table,) = comparison_of(tmp_path).tables
    assert [(entry.kind, entry.title) for entry in table.entries[:4]] == [
        ("experiment", "skipgram on pairs embedding_dim=8"),
        ("item vectors", "item vectors, cosine"),
        ("experiment", "skipgram on pairs embedding_dim=64"),
        ("baseline", "popularity"),
    ]
    vectors = table.entries[1]
    assert vectors.values["ndcg@10/all"].mean == pytest.approx(0.15)
    assert vectors.values["ndcg@10/all"].deviation == pytest.approx(0.1 / 2**0.5)
    assert "fit/seconds" not in vectors.values
    assert not any("item vectors" in note for note in table.all_notes)
    text = (written_by_main(tmp_path, capsys) / "comparison.md").read_text(encoding="utf-8")
    assert text.count("| item vectors, cosine | 2 | – |") == 1
    rows = list(csv.DictReader(io.StringIO(to_csv(comparison_of(tmp_path)))))
    assert [row["label"] for row in rows if row["kind"] == "item vectors"] == [
        table.entries[0].label
    ]


def test_a_column_that_repeats_another_is_said_once_above_the_table(tmp_path):
    for seed in (0, 1):
        values = {"test/auc/uniform/all": 0.9, "test/auc/uniform/seen": 0.9 + seed / 10}
        values |= {"test/auc/degree_matched/all": 0.8, "test/auc/degree_matched/seen": 0.8}
        values |= {"test/mrr/all": 0.7, "test/hr@50/all": 0.7}  # the same by chance
        write_run(tmp_path / f"a{seed}", seed, metrics(seed, **values))
    (table,) = comparison_of(tmp_path).tables
    keys = [
        column.key for column in table.columns if column.key.startswith(("auc", "mrr", "hr@50"))
    ]
    assert keys == [
        "auc/uniform/seen", "auc/uniform/all", "auc/degree_matched/seen", "hr@50/all", "mrr/all"
    ]  # fmt: skip
    notes = [note for note in table.all_notes if note.startswith("Columns")]
    assert notes == [
        "Columns left out: AUC degree-matched all is AUC degree-matched seen in every row."
    ]


def test_a_loss_is_not_marked_as_a_gain(tmp_path, capsys):
    for name, quality in (("better", 0.3), ("equal", 0.2), ("worse", 0.1)):
        choices = {"experiment": name}
        write_run(tmp_path / name, 0, metrics(0, quality), choices=choices, dim=quality)
    page = (written_by_main(tmp_path, capsys) / "comparison.html").read_text(encoding="utf-8")
    assert re.findall(r'<td class="(gain|loss)">([+-][\d.]+)', page) == [
        ("gain", "+0.1000"), ("loss", "-0.1000")
    ]  # fmt: skip
    assert "<td>+0.0000 (+0.0%)" in page


def test_the_page_of_several_folders_is_in_the_folder_that_holds_them(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("recsys_lab.report.__main__.draw_pictures", lambda *_: [])
    for name in ("runs/a", "runs/b", "sweeps/c"):
        write_run(tmp_path / name, 0, metrics(0))
    for folders, place in (
        (["runs/a", "runs/b"], "runs"),
        (["runs", "sweeps/c"], "."),
        (["runs/a"], "runs/a"),
        (["runs/b", "runs/b"], "runs"),
    ):
        assert main([str(tmp_path / folder) for folder in folders]) == 0
        assert (tmp_path / place / "comparison" / "comparison.html").is_file()
        page = Path(capsys.readouterr().out.splitlines()[-1])
        assert page.resolve() == tmp_path / place / "comparison" / "comparison.html"


class Page(HTMLParser):
    """Tags, and addresses that a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]


def test_html_is_one_page_that_escapes_every_name(tmp_path, capsys):
    evil = "<script>alert(1)</script>$how_to_read $\\frac$ & \"x\" 'y'"
    write_run(tmp_path / "a", 0, metrics(0), choices={"experiment": evil})
    write_run(tmp_path / "b<script>", 1, log=f"10:00:01 ERROR   {evil}\n")
    write_run(tmp_path / "c", 2, metrics(2, split="<script>"), choices={"catalog": "<script>"})
    out = written_by_main(tmp_path, capsys)
    page = (out / "comparison.html").read_text(encoding="utf-8")
    parsed = Page()
    parsed.feed(page)
    assert "script" not in parsed.tags
    assert "&lt;script&gt;alert(1)" in page
    assert parsed.tags.count("img") == 6
    pictures = [x for x in parsed.addresses if x.startswith("data:image/png;base64,")]
    links = {unquote(x) for x in parsed.addresses if x not in pictures}
    assert len(pictures) == 6
    assert links == {"#table-1", "#table-2"} | {f"../{x}" for x in ("a/", "b<script>/", "c/")} | {
        f"../{x}/.hydra/config.yaml" for x in ("a", "c")
    }
    assert not re.search(r"url\(|@import|https?://", page)
    assert "Published figures, on other data" in page
    assert "<script" not in (out / "comparison.md").read_text(encoding="utf-8")


def test_markdown_marks_the_best_and_breaks_no_table(tmp_path, capsys):
    write_run(tmp_path / "a", 0, metrics(0, 0.25), choices={"experiment": "a|b"})
    choices = {"experiment": "plain"}
    write_run(tmp_path / "b", 0, metrics(0, 0.15), choices=choices, embedding_dim=64)
    text = (written_by_main(tmp_path, capsys) / "comparison.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    best = next(line for line in rows if "a\\|b" in line)
    assert "**0.2500**" in best
    worse = next(line for line in rows if line.startswith("| plain"))
    assert "**0.1500**" not in worse
    assert "+0.0500 (+25.0%) [+0.0400, +0.0600]" in text
    assert "without a score: 5.00% by a\\|b, plain." in text
    assert ".9554" in text
    assert "on other data" in text


def test_nothing_to_compare_is_one_sentence_and_an_exit_code(tmp_path):
    done = run_forked(["-m", "recsys_lab.report", str(tmp_path)], ROOT, timeout=60)
    assert done.returncode == 1
    assert done.stderr == f"no run folders (with .hydra/config.yaml) in {tmp_path}\n"
    assert list(tmp_path.iterdir()) == []


def test_absent_folder_and_only_failed_runs(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "no such folder" in capsys.readouterr().err
    write_run(tmp_path / "a", 0, log="10:00:01 ERROR   no\n")
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "has finished" in capsys.readouterr().err
    assert "failed: no" in (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")


def test_a_cold_start_run_is_compared_with_the_content_baseline(tmp_path, capsys):
    values = {n: v for n, v in cold_metrics(0.4).items() if not n.startswith("difference/")}
    for bound, value in (("value", 0.05), ("low", 0.01), ("high", 0.09)):
        values[f"difference/content/hr@10/all/{bound}"] = value
    values["baseline/content/coverage/all"] = 0.75
    write_run(tmp_path / "a", 0, values, choices={"experiment": "cold"})
    text = (written_by_main(tmp_path, capsys) / "comparison.md").read_text(encoding="utf-8")
    assert "| experiment | HR@10 less content (tf-idf) |\n" in text
    assert "**+0.0500 (+50.0%) [+0.0100, +0.0900]**" in text
    assert "25.00% by content (tf-idf)." in text


def test_metrics_and_baselines_that_the_report_does_not_list_are_shown(tmp_path, capsys):
    own = {"test/map@10/all": 0.3, "baseline/my_own/map@10/all": 0.1, "label/my_own": "My <own>"}
    own |= {f"difference/my_own/hr@10/all/{bound}": 0.2 for bound in ("value", "low", "high")}
    write_run(tmp_path / "a", 0, metrics(), choices={"experiment": "plain"})
    choices = {"experiment": "plugins"}
    write_run(tmp_path / "b", 0, metrics(**own), choices=choices, embedding_dim=64)
    (table,) = comparison_of(tmp_path).tables
    assert [entry.label for entry in table.baselines][-1] == "My <own>"
    assert not any("differ" in note for note in table.notes)
    rows = list(csv.DictReader(io.StringIO(to_csv(comparison_of(tmp_path)))))
    means = {row["label"]: row["map@10/all/mean"] for row in rows}
    assert means == {"plain": "", "plugins": "0.3", "My <own>": "0.1"} | dict.fromkeys(
        ("popularity", "Adamic-Adar", "walk proximity"), ""
    )
    text = (written_by_main(tmp_path, capsys) / "comparison.md").read_text(encoding="utf-8")
    assert "| MAP@10 |" in text
    assert "| HR@10 less My &lt;own> | NDCG@10 less Adamic-Adar |" in text


def test_vectors_of_a_file_stand_in_the_table_without_a_time(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / f"a{seed}", seed, metrics(seed))
    values = metrics(0, 0.3)
    untrained = {k: v for k, v in values.items() if not k.startswith("fit/")}
    for number, name in enumerate(["glove.txt", "word2vec.bin"]):
        folder = write_run(tmp_path / f"b{number}", 0, untrained, path=f"/somewhere/{name}")
        config = folder / ".hydra" / "config.yaml"
        config.write_text(config.read_text() + f"vectors: /somewhere/{name}\nembeddings: true\n")
        (folder / "curve.csv").unlink()
    comparison = comparison_of(tmp_path)
    (table,) = comparison.tables
    assert [entry.label for entry in table.experiments] == [
        "external: glove.txt", "external: word2vec.bin", "skipgram on pairs"
    ]  # fmt: skip
    assert comparison.problems == []  # the other seed is not missing: nothing was trained
    first, _, trained = table.experiments
    seconds = next(column for column in table.columns if column.key == "fit/seconds")
    assert (first.write(seconds)[0], trained.write(seconds)[0]) == ("–", "10.5")
    assert (first.is_trained, trained.is_trained) == (False, True)


def test_switches_that_older_runs_do_not_have_make_no_other_experiment(tmp_path):
    write_run(tmp_path / "older", 0, metrics(0))
    folder = write_run(tmp_path / "newer", 1, metrics(1))
    config = folder / ".hydra" / "config.yaml"
    config.write_text(config.read_text() + "vectors: null\nembeddings: true\n")
    (table,) = comparison_of(tmp_path).tables
    assert [entry.seeds for entry in table.experiments] == [[0, 1]]

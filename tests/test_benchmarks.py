"""Every benchmark runs at the smallest size, without peers of other environments."""

import json
import math
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.end_to_end import exponents
from benchmarks.harness import BenchmarkError, Comparison, Contender, run_alone
from benchmarks.train import notes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmarks")


COMMANDS = {
    "read": ["--only", "recsys_lab, one", "orjson", "literal"],
    "prepare": [],
    "walks": [],
    "evaluate": ["--replicates", "8"],
    "neighbours": ["--only", "b, index", "Parquet", "FlatIP", "gensim", "--min-recall", "0.5"],
    "train": ["--only", "fused", "naive", "gensim", "--rates", "0.1", "--alphas", "0.05",
              "--epochs", "1"],
    "end_to_end": ["--overrides", "evaluation.replicates=2"],
    "add": ["--only", "full", "with pairs", "--overrides", "trainer.max_epochs=1",
            "model.embedding_dim=16"],
    "exchange": ["--ranks", "1", "3", "--every", "0", "2", "--epochs", "1", "--overrides",
                 "model.embedding_dim=16"],
}  # fmt: skip


# Run by commands of their own.
_SLOW = ("train", "end_to_end", "add", "neighbours", "read", "evaluate", "exchange")


@pytest.mark.parametrize(
    "command",
    [pytest.param(x, marks=pytest.mark.soak) if x in _SLOW else x for x in COMMANDS],
)
def test_command_measures_what_it_promises(folder, command, capsys):
    options = ["--size", "tiny", "--folder", str(folder), "--repeats", "1", "--threads", "1"]
    comparisons = main([command, *options, *COMMANDS[command]])
    printed = capsys.readouterr().out
    for comparison in comparisons:
        assert comparison.runs, comparison.absent
        assert all("no interpreter" in why for why in comparison.absent.values())
        for name, (run,) in comparison.runs.items():
            assert min(run["work"], run["seconds"], run["cpu_seconds"], run["peak_mb"]) > 0
            assert f"| {name} |" in printed  # the row for RESULTS.md
    kept = json.loads((folder / f"{command}.json").read_text())
    assert [c["title"] for c in kept["comparisons"]] == [c.title for c in comparisons]
    check = {"train": check_train, "read": check_read, "evaluate": check_evaluate,
             "neighbours": check_neighbours}  # fmt: skip
    check.get(command, lambda _: None)(comparisons)


def check_train(comparisons):
    (runs,) = (comparison.runs for comparison in comparisons)
    assert {name.split(",")[0] for name in runs} == {"fused", "naive loop", "gensim sg=1"}
    fused, gensim = runs["fused, lr 0.1, 1 epochs"][0], runs["gensim sg=1, alpha 0.05, 1 epochs"][0]
    assert fused["work"] == gensim["work"]  # the same walks
    assert fused["center_context/uniform"] > 0.6


def check_read(comparisons):
    for comparison in comparisons:
        assert len(comparison.runs) == 2
        assert len({runs[0]["work"] for runs in comparison.runs.values()}) == 1  # all read all


def check_evaluate(comparisons):
    own, peer = (runs[0]["auc"] for runs in comparisons[1].runs.values())
    assert own == pytest.approx(peer, abs=1e-12)


def check_neighbours(comparisons):
    runs = {name: run for name, (run,) in comparisons[0].runs.items()}
    assert runs["faiss IndexFlatIP"]["recall"] == 1
    assert 0.5 <= runs["recsys_lab, index"]["recall"] <= 1
    counted = {name: run["work"] for name, run in runs.items() if "gensim" not in name}
    assert len(set(counted.values())) == 1  # of all items


def test_a_contender_that_fails_is_absent_with_its_reason():
    broken = Contender.project("broken", "read.measure", path="/nowhere/catalog.json")
    comparison = Comparison("reading", "lines").measure([broken], repeats=2)
    assert not comparison.runs
    assert "/nowhere/catalog.json does not exist" in comparison.absent["broken"]
    with pytest.raises(BenchmarkError, match="No such file"):
        run_alone(["/nowhere/python"])


def row(seconds, work=1000, **values):
    return {"work": work, "seconds": seconds, "cpu_seconds": seconds, "peak_mb": 1.0, **values}


def test_ratios_are_taken_within_a_repeat():
    runs = {"recsys_lab": [row(1.0), row(2.0)], "peer": [row(4.0), row(16.0)]}
    table = Comparison("title", "items", reference="peer", runs=runs).table()
    assert table[1][:3] == ["recsys_lab", "0.8 (0.5 - 1.0)", "6.00 (4.00 - 8.00)"]
    assert table[2][2] == "1.00 (1.00 - 1.00)"


def test_time_to_the_best_auc_of_the_peer():
    def aucs(cosine, center_context):
        by_score = {"cosine": cosine, "center_context": center_context}.items()
        return {f"{s}/{p}": auc for p in ("uniform", "degree_matched") for s, auc in by_score}

    runs = {
        "fused, lr 0.1": [row(2.0, **aucs(0.90, 0.94))],
        "fused, lr 0.2": [row(5.0, **aucs(0.97, 0.90))],
        "gensim, 1": [row(20.0, **aucs(0.90, 0.91))],
        "gensim, 5": [row(100.0, **aucs(0.96, 0.95))],
    }
    lines = notes(Comparison("title", "items", runs=runs))
    assert "gensim's best is 0.9600 in 100.0 s (gensim, 5)" in lines[0]
    assert "5.0 s (fused, lr 0.2): 20.0 times" in lines[1]


def test_exponent_between_sizes(tmp_path):
    smaller = tmp_path / "small"
    smaller.mkdir()
    kept = {"comparisons": [{"runs": {"train.py": [row(10.0, work=100)]}}]}
    (smaller / "end_to_end.json").write_text(json.dumps(kept))
    now = Comparison("t", "items", runs={"train.py": [row(40.0, work=200)]})
    lines = exponents(tmp_path / "electronics", "electronics", [now])
    assert lines[0].startswith(f"seconds ~ items ** {math.log2(4):.2f}")


def test_a_name_that_nobody_has_is_answered(folder, capsys):
    options = ["read", "--size", "tiny", "--folder", str(folder), "--repeats", "1"]
    file = folder / "read.json"
    file.write_text("measured before")
    with pytest.raises(
        SystemExit, match="gensin is in no name of: recsys_lab, parsing alone, one thread"
    ):
        main([*options, "--only", "gensin"])
    assert file.read_text() == "measured before"
    main([*options, "--only", "gensin", "orjson"])
    assert "--only: gensin is in no name of: recsys_lab" in capsys.readouterr().out

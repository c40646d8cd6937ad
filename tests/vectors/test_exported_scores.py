"""Exported queries and keys give the metrics of the run, by the program of docs/exporting.md."""

import runpy
from pathlib import Path

import pytest

from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.export import export
from tests.documented import blocks
from tests.run_cases import ROOT, metrics

PLACE = 'Path("outputs/train/runs/...")'


def test_faiss_gives_the_metrics_of_the_run(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(Embeddings.load(finished), "faiss", tmp_path / "vectors.faiss")
    (program,) = [
        text for _, _, text in blocks(ROOT / "docs" / "exporting.md") if "faiss.read_index" in text
    ]
    assert PLACE in program
    (tmp_path / "proof.py").write_text(program.replace(PLACE, f"Path({str(finished)!r})"))
    monkeypatch.chdir(tmp_path)
    found = runpy.run_path("proof.py")
    measured, total = metrics(finished), found["total"]
    assert total == 2 * measured["count/test/all"]
    # Sums in another order may turn round two scores that agree to their last bits.
    margin = 1 / total
    assert found["hits"] / total == pytest.approx(measured["test/hr@10/all"], abs=margin)
    assert found["gain"] / total == pytest.approx(measured["test/ndcg@10/all"], abs=margin)
    assert 0.05 < found["hits"] / total < 0.95

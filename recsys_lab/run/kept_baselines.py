"""Baselines tested by an earlier run, which runs on the same data do not build and test again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_lab.catalog.prepared_folders import key_of
from recsys_lab.evaluation.baseline_choice import Findings
from recsys_lab.evaluation.baselines import BASELINES
from recsys_lab.evaluation.protocol import Judgement, PairScores
from recsys_lab.evaluation.ranking import RankingResult
from recsys_lab.evaluation.slices import EvaluationPairs
from recsys_lab.results.prepared_users import note_user
from recsys_lab.run.kept_folders import code_of_tests, is_kept, keep

FOLDER = "baselines"  # among prepared data
_ARRAYS = "judgements.npz"
_RANKED = "query", "target", "rank"


@dataclass(frozen=True)
class KeptBaselines:
    """The folder that holds what a test of the baselines gave.

    Its name is decided by the prepared data, the options of the test and the code
    (`code_of_tests`), so another test finds it only if it would give the same.

    Attributes:
        folder: it may not exist yet.
    """

    folder: Path

    def is_there(self) -> bool:
        """Whether there is a sound folder."""
        return is_kept(self.folder)

    def findings(self) -> Findings:
        """Parameters, validation and what was left out."""
        return Findings(**json.loads(self._manifest()["findings"]))

    def judgements(self, pairs: EvaluationPairs) -> dict[str, Judgement]:
        """Of the baselines on these test pairs, by their prefix in `metrics.json`."""
        manifest = self._manifest()
        with np.load(self.folder / _ARRAYS, allow_pickle=False) as arrays:
            return {
                name: _judgement(name, arrays, pairs, manifest["ks"], manifest["queries"])
                for name in manifest["names"]
            }

    def keep(self, judged: Mapping[str, Judgement], findings: Findings, run: Path) -> None:
        """Write them if they are not there and can be written; lists the run as one that uses them.

        Args:
            judged: of the baselines, by their prefix in `metrics.json`.
            findings: of the same.
            run: folder of the run.
        """

        def write(part: Path) -> dict[str, Any]:
            arrays = {
                f"{name}/{key}": array
                for name, judgement in judged.items()
                for key, array in _arrays_of(judgement).items()
            }
            np.savez(part / _ARRAYS, **arrays)  # type: ignore[arg-type]
            ranking = next(iter(judged.values())).ranking
            return {
                "names": list(judged),
                "ks": ranking.ks,
                "queries": ranking.num_query_items,
                "findings": json.dumps(asdict(findings)),  # whose order a manifest would not keep
            }

        keep(self.folder, write, "the test of the baselines")
        note_user([self.folder], run)

    def _manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())
        return found


def kept_baselines(data: tuple[Path, Path], options: Sequence[float]) -> KeptBaselines | None:
    """Where the baselines of a test are kept; None where some come from outside of the project.

    Args:
        data: folders of the prepared catalogue and of its split.
        options: values that the test depends on.
    """
    package = __package__.partition(".")[0]
    if any(entry.build.__module__.partition(".")[0] != package for entry in BASELINES.values()):
        return None  # their code may change at any time
    key = key_of(*(folder.name for folder in data), list(BASELINES), list(options), code_of_tests())
    return KeptBaselines(data[1].parents[1] / FOLDER / key)


def _arrays_of(judgement: Judgement) -> dict[str, np.ndarray]:
    arrays = {key: getattr(judgement.ranking, key) for key in _RANKED}
    arrays["positives"] = judgement.scores.positives
    negatives = judgement.scores.negatives.items()
    return arrays | {f"negatives/{protocol}": scores for protocol, scores in negatives}


def _judgement(
    name: str, arrays: Mapping[str, np.ndarray], pairs: EvaluationPairs, ks: list[int], queries: int
) -> Judgement:
    negatives = {protocol: arrays[f"{name}/negatives/{protocol}"] for protocol in pairs.negatives}
    query, target, rank = (arrays[f"{name}/{key}"] for key in _RANKED)
    return Judgement(
        pairs,
        PairScores(arrays[f"{name}/positives"], negatives),
        RankingResult(query, target, rank, pairs.seen_ends, tuple(ks), queries),
    )

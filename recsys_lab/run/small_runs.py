"""Small runs that use every kernel of reading, training and testing."""

from pathlib import Path

from recsys_lab.catalog.prepared import prepare
from recsys_lab.run.experiment import configure, quieten_libraries
from recsys_lab.run.fitting import fit

SMALL_RUNS = (
    ("model=skipgram",),
    ("model=mf", "data=pairs", "evaluation.max_ease_items=0"),  # EASE as of many items
    ("model=skipgram_side_info", "data.source.p=0.5", "data.negatives=shared"),
    ("model=mf_bias", "data.subsample_threshold=1e-3", "data.negatives=per_pair"),
)
_SIZE = (
    "catalog.num_items=300", "debug=limit", "evaluation.replicates=2", "logger=null",
    "trainer.enable_progress_bar=false",
)  # fmt: skip


def run_small(words: tuple[str, ...], folder: str) -> None:
    """Prepare, train and test on 300 items, in a folder."""
    quieten_libraries()
    experiment = configure(*_SIZE, *words, f"prepared_dir='{folder}/prepared'")
    prepared = prepare(experiment.source, experiment.split, experiment.prepared_dir)
    fit(prepared, experiment, Path(folder) / words[0]).test()

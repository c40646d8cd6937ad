"""The same seed gives the same bits, however many threads train."""

from pathlib import Path

import pytest
import torch

import recsys_lab
from recsys_lab.compute.threads import choose_threads

WORDS = (
    "catalog.num_items=300", "model.embedding_dim=8", "trainer.max_epochs=2",
    "trainer.enable_progress_bar=false", "logger=csv", "evaluation.replicates=0",
)  # fmt: skip


def weights(folder: Path, threads: int, *words: str) -> dict[str, torch.Tensor]:
    experiment = recsys_lab.configure(
        *WORDS, *words, f"num_threads={threads}", f"prepared_dir={folder}"
    )
    try:
        fitted = recsys_lab.fit(
            recsys_lab.prepare(experiment.source, experiment.split, folder / "prepared"),
            experiment,
            folder / str(threads),
        )
    finally:
        choose_threads(None)
    return fitted.task.state_dict()


@pytest.mark.parametrize(
    "words",
    [
        ("data.walks_per_batch=300",),
        ("model=mf_bias", "data=pairs", "data.batch_size=900"),
        ("model=skipgram_side_info", "data.walks_per_batch=300"),
        ("model.kernel=autograd", "catalog.num_items=3000", "trainer.max_steps=4"),
    ],
)
def test_a_run_does_not_depend_on_the_number_of_threads(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    one, *others = (weights(tmp_path, threads, *words) for threads in (1, 2, 5))
    for other in others:
        assert all(torch.equal(one[name], other[name]) for name in one)

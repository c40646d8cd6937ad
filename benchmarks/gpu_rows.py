"""What `benchmarks gpu` measures: a function for each kind of row."""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import recsys_lab
from benchmarks.harness import Run
from benchmarks.inputs import SEED, WALK_LENGTH, WALKS_PER_ITEM, Inputs
from benchmarks.train import DIM, NEGATIVES, SHARED, WINDOW, judge

_RATE = "optimizer.lr=0.2"
_SHARE_OF_GENSIM = 4  # gensim trains one of so many walks


def make(size: str, folder: str) -> Run:
    """Write and prepare the inputs of a size."""
    began = time.perf_counter()
    prepared = Inputs(size, folder).prepared
    return {"items": len(prepared.catalog), "seconds": time.perf_counter() - began}


class Data:
    """A prepared catalogue with its graph, which all runs share."""

    def __init__(self, prepared: Any) -> None:
        from recsys_lab.run.run_data import RunData

        self.prepared = prepared
        tiny = len(prepared.catalog) < 1000
        self.dry = ("data.walks_per_batch=60",) if tiny else ()  # enough batches to time some
        self.run = RunData(prepared.split, prepared.catalog)
        self.run.graph.tables  # noqa: B018 - made here, not in the first run


def train_row(device: str, data: Data, overrides: tuple[str, ...], *, tf32: bool = False) -> Run:
    """One epoch by Lightning's trainer; seconds of its batches, and the AUC."""
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    trainer, task, steps = trained(device, data, overrides)
    prepared = data.prepared
    with torch.no_grad():
        items = torch.arange(len(prepared.catalog), device=device)
        net = task.net.to(device)
        quality = judge(net.centers.item_vectors(items), net.contexts.item_vectors(items), prepared)
    found = {
        p: max(v for k, v in quality.items() if k.endswith(p))
        for p in ("uniform", "degree_matched")
    }
    speed = steps.items / max(steps.seconds, 1e-9)
    return {
        "items_per_second": speed, "seconds": steps.seconds, "fit_seconds": steps.fit_seconds,
        "batches": trainer.num_training_batches,
        "ms_a_batch": 1e3 * steps.seconds / max(steps.counted, 1),
        "auc_uniform": found["uniform"], "auc_degree_matched": found["degree_matched"],
        "kernel": task.kernel, "gpu_mb": torch.cuda.max_memory_allocated() / 2**20,
    }  # fmt: skip


def trained(
    device: str, data: Data, overrides: tuple[str, ...], callbacks: tuple[Any, ...] = ()
) -> tuple[Any, Any, Any]:
    """A trainer and task after one epoch, and what was timed."""
    from pytorch_lightning import seed_everything

    from recsys_lab.run.fitting import build_data, build_task

    trainer_words = ("trainer=gpu",) if device == "cuda" else ()
    experiment = recsys_lab.configure(
        *SHARED, _RATE, *trainer_words, "trainer.max_epochs=1", *data.dry, *overrides
    )
    seed_everything(SEED, verbose=False)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    task = build_task(data.prepared, experiment)
    module = build_data(data.run, experiment)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary"), False)
    steps = _steps(device)
    trainer = experiment.trainer(**quiet, callbacks=[steps, *callbacks])
    began = time.perf_counter()
    trainer.fit(task, datamodule=module)
    steps.fit_seconds = time.perf_counter() - began
    return trainer, task, steps


_WARM = 4  # batches before the clock starts: kernels are compiled, walks drawn


def _steps(device: str) -> Any:
    """A callback that times the batches after the first few."""
    from pytorch_lightning import Callback

    class Steps(Callback):
        items = counted = 0
        began = seconds = fit_seconds = 0.0

        def on_train_batch_end(self, trainer, task, outputs, batch, batch_idx):  # type: ignore[no-untyped-def]
            if batch_idx >= _WARM:
                self.items += batch.num_trained
                self.counted += 1
            if batch_idx == _WARM - 1:
                _synchronize(device)
                self.began = time.perf_counter()

        def on_train_epoch_end(self, trainer, task):  # type: ignore[no-untyped-def]
            _synchronize(device)
            self.seconds = time.perf_counter() - self.began

    return Steps()


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def device_row() -> Run:
    """What the device is, and its measured limits."""
    if not torch.cuda.is_available():
        return {"device": "cpu", "cores": os.cpu_count(), "torch": torch.__version__}
    a = torch.empty(2**30, dtype=torch.uint8, device="cuda").random_()
    b = torch.empty_like(a)
    row = {
        "device": torch.cuda.get_device_name(), "torch": torch.__version__, "cores": os.cpu_count(),
        "copy_tb_s": 2 * a.numel() / _seconds(lambda: b.copy_(a)) / 1e12,
    }  # fmt: skip
    rows = torch.randn(2**21, DIM, device="cuda")
    some = torch.randint(0, len(rows), (2**21,), device="cuda")
    gathered = _seconds(lambda: torch.nn.functional.embedding(some, rows))
    row["gather_tb_s"] = 2 * rows.numel() * 4 / gathered / 1e12
    for name, kind, tf32 in (
        ("bf16", torch.bfloat16, True),
        ("tf32", torch.float32, True),
        ("fp32", torch.float32, False),
    ):
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        x = torch.randn(8192, 8192, device="cuda", dtype=kind)
        row[f"{name}_tflops"] = 2 * 8192**3 / _seconds(partial(torch.matmul, x, x), 4) / 1e12
    return row


def _seconds(run: Callable[[], Any], repeats: int = 10) -> float:
    """Of one call on the GPU."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(repeats):
        run()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / repeats


def profile(device: str, data: Data, model: tuple[str, ...], text: list[str]) -> Run:
    """Where a step's time goes; the table of kernels is added to `text`."""
    from pytorch_lightning import Callback
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device == "cuda")
    tool, first, count = profiler(activities=kinds), 6, 20
    spans: list[float] = []

    class Profile(Callback):
        def on_train_batch_start(self, trainer, task, batch, batch_idx):  # type: ignore[no-untyped-def]
            if batch_idx in (first, first + count):
                _synchronize(device)
                if batch_idx == first:
                    tool.start()
                else:
                    tool.stop()
                spans.append(time.perf_counter())

    limit = (f"trainer.limit_train_batches={first + count + 1}",) if device == "cuda" else ()
    trained(device, data, (*model, *limit), (Profile(),))
    if len(spans) < 2:
        tool.stop()
        return {"too_few_batches": True}
    averages = tool.key_averages()
    by = "self_cuda_time_total" if device == "cuda" else "self_cpu_time_total"
    text.append(averages.table(sort_by=by, row_limit=28, max_name_column_width=60))
    kernels = [  # the step of the optimiser is a span, beside its kernels
        e.self_device_time_total
        for e in averages
        if not str(e.device_type).endswith("CPU") and "Optimizer.step" not in e.key
    ]
    row = {"ms_a_step": 1e3 * (spans[1] - spans[0]) / count}
    return row | {"gpu_ms_a_step": sum(kernels) / 1e3 / count}


def test_row(device: str, data: Data) -> Run:
    """The ranking of the whole catalogue on the GPU and on the CPU, with random vectors."""
    from recsys_lab.evaluation.ranking import evaluate_ranking
    from recsys_lab.evaluation.scorers import VectorScorer, on_device

    pairs = data.run.evaluation_pairs("test")
    rng = torch.Generator().manual_seed(0)
    queries, keys = torch.randn(2, len(data.prepared.catalog), DIM, generator=rng)
    scorer = VectorScorer(queries, keys, both_ways=True)
    row: Run = {}
    results = []
    for name in (device, "cpu"):
        moved = on_device(scorer, torch.device(name))
        evaluate_ranking(moved, pairs, max_scores=1e8)  # compiles
        began = time.perf_counter()
        results.append(evaluate_ranking(moved, pairs))
        row[f"{name}_seconds"] = time.perf_counter() - began
    one, other = results
    row["scores"] = float(len(np.unique(one.query)) * len(queries))
    row["ranks_differ"] = float(np.mean(one.rank != other.rank))
    row["mrr"], row["mrr_cpu"] = one.mean("mrr"), other.mean("mrr")
    return row


def cpu_row(size: str, folder: str) -> Run:
    """The fused kernels on the cores of this machine."""
    return train_row("cpu", Data(Inputs(size, folder).prepared), ("model.kernel=fused",))


def gensim_row(size: str, folder: str, workers: int) -> Run:
    """Peer: the `corpus_file` form of gensim, on a share of the walks of an epoch."""
    from gensim.models import Word2Vec

    from recsys_lab.graph.walks import num_walks, random_walks

    inputs = Inputs(size, folder)
    total = num_walks(inputs.graph, WALKS_PER_ITEM)
    count = total // _SHARE_OF_GENSIM
    walks = random_walks(inputs.graph, WALKS_PER_ITEM, WALK_LENGTH, seed=SEED, count=count)
    path = Path(folder) / "share.txt"
    with path.open("w") as file:
        for low in range(0, len(walks), 100_000):
            rows = walks[low : low + 100_000].tolist()
            file.write("".join(" ".join(map(str, row)) + "\n" for row in rows))
    began = time.perf_counter()
    model = Word2Vec(
        corpus_file=str(path), vector_size=DIM, window=WINDOW, negative=NEGATIVES, sg=1,
        min_count=1, sample=0, alpha=0.1, workers=workers, epochs=1, seed=SEED,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    return {"items_per_second": model.corpus_total_words / seconds, "seconds": seconds}

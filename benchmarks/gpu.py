"""Training and testing on one GPU, beside this machine's own cores and gensim.

Every part has a limit of its own and writes its rows as soon as they are there, so that a machine
that is taken away costs one part. `--dry-run` runs everything on a CPU with a tiny catalogue.
Items/s of training are those between the first and the last batch; AUC is the better of cosine and
center . context on the seen validation pairs.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import recsys_lab
from benchmarks.harness import BenchmarkError, Comparison, Contender, Run, run_alone
from benchmarks.inputs import SEED, WALK_LENGTH, WALKS_PER_ITEM, Inputs
from benchmarks.train import DIM, NEGATIVES, SHARED, WINDOW, judge

RATE = "optimizer.lr=0.2"
MODELS = {"ids": ("model=skipgram",), "side information": ("model=skipgram_side_info",)}
BYTES_OF_AN_ITEM = 6 * DIM * 4  # two rows read, and again read and written by their steps
_OF_A_DRY_RUN = 900.0  # seconds of a part, whose kernels may have to be compiled first
_SHARE_OF_GENSIM = 4  # gensim trains one of so many walks


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is measured, and for how long."""
    parser.add_argument("--dry-run", action="store_true", help="everything on a CPU, tiny")
    parser.add_argument("--sizes", nargs="+", default=["electronics", "books"])
    parser.add_argument("--parts", nargs="+", default=["device", "train", "profile", "test", "cpu"])
    parser.add_argument("--batches", type=int, nargs="+", default=[4800, 16384, 65536])
    parser.add_argument("--seconds", type=float, default=480, help="of all parts")


def compare(inputs: Inputs, options: argparse.Namespace) -> list[Comparison]:
    """Run the parts; their rows are in gpu.jsonl of the folder."""
    if not (options.dry_run or torch.cuda.is_available()):
        sys.exit("benchmarks gpu needs a GPU of CUDA, and this machine has none: use --dry-run")
    if options.dry_run:
        options.sizes, options.batches = ["tiny", "small"], [60]
    session = Session(options)
    makers = [session.make(size) for size in options.sizes]  # they are made side by side
    if "device" in options.parts:
        session.part("device", 60, device_row)
    try:
        for number, (size, made) in enumerate(zip(options.sizes, makers, strict=True)):
            with session.limit(f"inputs {size}", 240):
                if made.wait():
                    raise BenchmarkError("the inputs could not be made")
                session.size(size, in_short=number > 0)
    finally:
        for made in makers:
            made.kill()
    return []


class Session:
    """Rows of the parts, and the time that is left."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = "cpu" if options.dry_run else "cuda"
        self._ends = time.monotonic() + options.seconds
        options.folder.mkdir(parents=True, exist_ok=True)
        self._file = options.folder / "gpu.jsonl"

    def row(self, part: str, **values: Any) -> None:
        """Print a row and keep it."""
        short = {k: f"{v:,.4g}" if isinstance(v, float) else v for k, v in values.items()}
        print(part, *(f"{k}={v}" for k, v in short.items()), sep="  ", flush=True)
        with self._file.open("a") as file:
            file.write(json.dumps({"part": part, **values}, default=str) + "\n")

    @contextlib.contextmanager
    def limit(self, part: str, seconds: float) -> Iterator[None]:
        """Give up a part that takes longer, or that fails; the others go on."""

        def stop(*_: object) -> None:
            raise TimeoutError(f"longer than {seconds:.0f} s")

        began, left = time.monotonic(), self._ends - time.monotonic()
        seconds = _OF_A_DRY_RUN if self.options.dry_run else max(min(seconds, left), 1.0)
        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        except Exception as error:  # said, and the next part begins
            self.row(part, failed=f"{type(error).__name__}: {str(error)[:300]}")
            if self.options.dry_run:
                raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            print(f"# {part}: {time.monotonic() - began:.1f} s", flush=True)

    def part(self, name: str, seconds: float, run: Callable[[], Run]) -> None:
        """One row."""
        with self.limit(name, seconds):
            self.row(name, **run())

    def folder(self, size: str) -> str:
        """Of the inputs of a size."""
        return str(self.options.folder / size)

    def make(self, size: str) -> "subprocess.Popen[bytes]":
        """Prepare a size in a process of its own."""
        spec = {"function": "gpu.make", "arguments": {"size": size, "folder": self.folder(size)}}
        command = [sys.executable, "-m", "benchmarks.child", json.dumps(spec)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def size(self, size: str, *, in_short: bool) -> None:
        """The parts of one size; in short, training by the defaults alone."""
        inputs, parts = Inputs(size, self.folder(size)), self.options.parts
        data = Data(inputs.prepared)
        if in_short:
            for name, model in MODELS.items():
                self.part(f"train {size} {name}", 60, partial(train_row, self.device, data, model))
            return
        if "train" in parts:
            self._train(size, data)
        if "profile" in parts:
            for name, model in MODELS.items():
                text: list[str] = []
                self.part(
                    f"profile {size} {name}",
                    40,
                    partial(profile, self.device, data, model, text),
                )
                print(*text, sep="\n")
        if "test" in parts:
            self.part(f"test {size}", 60, lambda: test_row(self.device, data))
        if "cpu" in parts:
            self._cpu(size, inputs)

    def _train(self, size: str, data: "Data") -> None:
        cases: list[tuple[str, tuple[str, ...]]] = []
        for name, model in MODELS.items():
            cases.append((name, model))
            for batch in self.options.batches if name == "ids" else ():
                cases.append(
                    (f"{name}, {batch} walks a batch", (*model, f"data.walks_per_batch={batch}"))
                )
            short = (*model, "++trainer.precision=bf16-mixed")
            cases.append((f"{name}, bf16-mixed", short))
            if name == "ids":
                cases.append((f"{name}, TF32", model))
            cases.append((f"{name}, autograd", (*model, "model.kernel=autograd")))
        for name, overrides in cases:
            self.part(
                f"train {size} {name}",
                60,
                partial(train_row, self.device, data, overrides, tf32="TF32" in name),
            )

    def _cpu(self, size: str, inputs: Inputs) -> None:
        """The same machine's cores: the fused kernels, then gensim on a share of the walks."""
        for name, function, arguments in (
            ("fused kernels on the CPU", "gpu.cpu_row", {}),
            ("gensim on the CPU", "gpu.gensim_row", {"workers": self.options.threads}),
        ):
            where = {"size": size, "folder": inputs.folder}
            spec = Contender.project(name, function, self.options.threads, **where, **arguments)
            self.part(
                f"{name}, {size}, {self.options.threads} threads",
                120,
                partial(_run, spec.command),
            )


def _run(command: Sequence[str]) -> Run:
    run = run_alone(command)
    return {name: run[name] for name in run if not name.startswith("process_")}


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
        *SHARED, RATE, *trainer_words, "trainer.max_epochs=1", *data.dry, *overrides
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
                (
                    tool.__enter__
                    if batch_idx == first
                    else lambda: tool.__exit__(None, None, None)
                )()
                spans.append(time.perf_counter())

    limit = (f"trainer.limit_train_batches={first + count + 1}",) if device == "cuda" else ()
    trained(device, data, (*model, *limit), (Profile(),))
    if len(spans) < 2:
        tool.__exit__(None, None, None)
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

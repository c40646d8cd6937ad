"""Training and testing on one GPU, beside this machine's own cores and gensim.

Every part has a limit of its own and writes its rows as soon as they are there, so that a machine
that is taken away costs one part. `--dry-run` runs everything on a CPU with a tiny catalogue.
Items/s of training are those between the first and the last batch; AUC is the better of cosine and
center . context on the seen validation pairs.
"""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from benchmarks.gpu_rows import Data, device_row, profile, test_row, train_row
from benchmarks.harness import BenchmarkError, Comparison, Contender, Run, run_alone
from benchmarks.inputs import Inputs

MODELS = {"ids": ("model=skipgram",), "side information": ("model=skipgram_side_info",)}
_OF_A_DRY_RUN = 900.0  # seconds of a part, whose kernels may have to be compiled first


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
        spec = {
            "function": "gpu_rows.make",
            "arguments": {"size": size, "folder": self.folder(size)},
        }
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

    def _train(self, size: str, data: Data) -> None:
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
            ("fused kernels on the CPU", "gpu_rows.cpu_row", {}),
            ("gensim on the CPU", "gpu_rows.gensim_row", {"workers": self.options.threads}),
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

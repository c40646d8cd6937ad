"""The process in which one contender runs: calls a function of this package, prints what it found.

    python -m benchmarks.child '{"function": "walks.measure", "arguments": {...}}'

The last line of its output is the JSON object that the function returned.
"""

import contextlib
import importlib
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recsys_lab.compute.process import prepare_process

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_mb() -> float:
    """Largest resident memory of this process since it began, or since `Stages` last reset it."""
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


class Stages:
    """Seconds, CPU seconds and peak memory of named stages, in the order they ran."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, float]] = {}

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure what runs inside; a name that comes again adds up."""
        with contextlib.suppress(OSError):  # only where the kernel lets us forget a peak
            _CLEAR.write_text("5")
        clock, cpu = time.perf_counter(), time.process_time()
        yield
        row = self.rows.setdefault(name, {"seconds": 0.0, "cpu_seconds": 0.0, "peak_mb": 0.0})
        row["seconds"] += time.perf_counter() - clock
        row["cpu_seconds"] += time.process_time() - cpu
        row["peak_mb"] = max(row["peak_mb"], peak_mb())


def timed(function: Any, *arguments: Any) -> tuple[Any, dict[str, float]]:
    """What a function returns, and its seconds, CPU seconds and peak memory so far."""
    stages = Stages()
    with stages("it"):
        result = function(*arguments)
    return result, stages.rows["it"]


def main() -> None:
    """Run the function that the argument names."""
    from recsys_lab.compute.threads import choose_threads

    spec = json.loads(sys.argv[1])
    choose_threads(spec.get("threads"))
    module, _, name = spec["function"].partition(".")
    function = getattr(importlib.import_module(f"benchmarks.{module}"), name)
    print(json.dumps(function(**spec["arguments"])))


if __name__ == "__main__":
    prepare_process()
    main()

"""`recsys-lab compile`."""

import time
from contextlib import redirect_stderr
from io import StringIO
from tempfile import TemporaryDirectory

import typer


def compile() -> None:
    """Compile the kernels, so that the first run is as quick as those after it.

    They are compiled by small runs in a temporary folder, and kept for later ones.
    """
    from recsys_lab.compute.compiling import CLOCK
    from recsys_lab.compute.kernel_cache import KERNEL_CACHE
    from recsys_lab.run.small_runs import SMALL_RUNS, run_small

    if (place := KERNEL_CACHE.folder) is None:
        raise ValueError(
            "no folder for compiled kernels can be written: name one with the environment "
            "variable NUMBA_CACHE_DIR"
        )
    began = time.perf_counter()
    with TemporaryDirectory() as folder:
        for number, words in enumerate(SMALL_RUNS, 1):
            typer.echo(f"{number} of {len(SMALL_RUNS)}: {' '.join(words)}")
            with redirect_stderr(StringIO()):
                run_small(words, folder)
    typer.echo(
        f"{CLOCK.seconds:.0f} of {time.perf_counter() - began:.0f} s were spent on compiling; the "
        f"kernels are in {place}"
    )

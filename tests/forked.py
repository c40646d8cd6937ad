"""Commands run in children of one process that has imported its libraries once.

Imports take four seconds of a run and do not change from run to run. The child runs the same
file with the same words; what depends on a fresh interpreter is tested by a command of its own.
"""

import gc
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from recsys_lab.compute.process import prepare_process

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.forked"])

if multiprocessing.parent_process() is None and "pytest" not in sys.modules:  # the server
    prepare_process()
    # No library whose threads the children would miss: polars and pyarrow.
    import matplotlib.backends.backend_agg  # noqa: F401
    import numba.core.registry
    import pytorch_lightning  # noqa: F401
    import scipy.signal  # noqa: F401
    import torch._dynamo
    import torch.utils.tensorboard  # noqa: F401

    from tests.composed import compose_once

    numba.core.registry.cpu_target.target_context.refresh()
    compose_once()
    gc.freeze()  # nothing imported is garbage: the children need not look through it


def run_forked(
    words: Sequence[str], cwd: Path, timeout: float, path: Path | None = None
) -> subprocess.CompletedProcess:
    """The outcome of `python WORDS`, where these name a file or `-m` and a package.

    Args:
        words: as on the command line.
        cwd: the current folder of the command.
        timeout: seconds.
        path: a folder in front of `sys.path`, as PYTHONPATH has it.
    """
    with tempfile.TemporaryDirectory() as folder:
        child = start_forked(words, cwd, Path(folder), path)
        child.join(timeout)
        if child.exitcode is None:
            child.kill()
            child.join()
            raise subprocess.TimeoutExpired(list(words), timeout)
        out, err = (Path(folder, name).read_text() for name in ("out", "err"))
        return subprocess.CompletedProcess(list(words), child.exitcode, out, err)


def start_forked(
    words: Sequence[str], cwd: Path, folder: Path, path: Path | None = None
) -> BaseProcess:
    """The running command; it appends to `out` and `err` in the folder."""
    child = CONTEXT.Process(target=_run, args=(list(words), cwd, folder, path))
    child.start()
    return child


def _run(words: list[str], cwd: Path, folder: Path, path: Path | None) -> None:
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    if path is not None:
        sys.path.insert(0, str(path))
    is_package = words[0] == "-m"
    sys.argv = words[1:] if is_package else words
    try:
        if is_package:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        sys.stdout.flush()

"""Where a result comes from: versions, commit, memory."""

import importlib.metadata
import resource
import subprocess
import sys
from pathlib import Path

_PACKAGES = (
    "recsys-lab",
    "torch",
    "pytorch-lightning",
    "hydra-core",
    "numpy",
    "scipy",
    "numba",
    "polars",
    "gensim",
)


def provenance() -> dict[str, str | None]:
    """`versions/<package>` and `git_commit`, which ends in -dirty if files were changed."""
    values: dict[str, str | None] = {"versions/python": sys.version.split()[0]}
    for package in _PACKAGES:
        try:
            values[f"versions/{package}"] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a folder, not installed
            values[f"versions/{package}"] = None
    return values | {"git_commit": _git_commit()}


def _git_commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10

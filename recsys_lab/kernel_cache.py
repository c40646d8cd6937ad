"""Where numba keeps what it has compiled: apart for every state of the sources.

numba looks at the file of a function alone, not at those it calls into, and after an update would
go on running compiled code that contains the old version of a helper.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

_PREFIX = "kernels-"


def sources_digest(package: Path) -> str:
    """Digest of all files of a package that have to do with compiled functions."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if b"jit" in (source := path.read_bytes()):
            digest.update(source)
    return digest.hexdigest()[:16]


def choose_kernel_cache(package: Path) -> None:
    """Make numba use a folder for these sources, and clear those of earlier ones.

    Has an effect on functions that are defined afterwards, and none where NUMBA_CACHE_DIR says
    something else. A package that cannot be written to leaves numba to its own rules.
    """
    given = os.environ.get("NUMBA_CACHE_DIR", "")
    if given and not Path(given).name.startswith(_PREFIX):  # else a parent process chose it
        return
    home = package / "__pycache__"
    folder = home / f"{_PREFIX}{sources_digest(package)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        os.environ.pop("NUMBA_CACHE_DIR", None)
        return
    for other in home.glob(f"{_PREFIX}*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if numba := sys.modules.get("numba"):  # it has read the environment already
        numba.config.CACHE_DIR = str(folder)

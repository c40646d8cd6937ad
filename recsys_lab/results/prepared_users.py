"""The run folders that use prepared data, listed in its folder as `runs.txt`."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from recsys_lab.results.run_folder import CONFIG

_FILE = "runs.txt"


def note_user(prepared: Iterable[Path], run: Path) -> None:
    """List a run in folders of prepared data, once; where they cannot be written, it is not."""
    line = f"{run.resolve()}\n"
    for folder in prepared:
        with suppress(OSError, UnicodeError), (folder / _FILE).open("a+", encoding="utf-8") as file:
            file.seek(0)
            if line not in file:
                file.write(line)


def users_of(prepared: Path) -> list[Path] | None:
    """The runs that use prepared data and are still there; None where no run was ever listed."""
    try:
        lines = (prepared / _FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):
        return None
    return [Path(line) for line in lines if (Path(line) / CONFIG).is_file()]

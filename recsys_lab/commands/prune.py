"""`recsys-lab prune FOLDER...`."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def prune(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="searched for run folders and prepared data; default: outputs"),
    ] = None,
    hours: Annotated[
        float, typer.Option(min=0, help="leave what was changed within so many hours")
    ] = 24.0,
    yes: Annotated[bool, typer.Option("--yes", help="remove without asking")] = False,
) -> None:
    """Remove unfinished runs, prepared data that no run uses, and what killed processes left.

    All of it is shown first, with sizes. Runs that a process works in are left.
    """
    from rich.console import Console

    from recsys_lab.results.pruning import find_prunable, remove

    wanted = folders or [Path("outputs")]
    if absent := [str(folder) for folder in wanted if not folder.is_dir()]:
        raise ValueError(f"no such folder: {', '.join(absent)}")
    found = {one.path.resolve(): one for folder in wanted for one in find_prunable(folder, hours)}
    out = Console(soft_wrap=True, highlight=False, markup=False)
    for one in found.values():
        reason = f": {one.reason}" if one.reason else ""
        out.print(f"{_megabytes(one.size):>10}  {one.kind}  {one.path}{reason}")
    if not found:
        out.print("nothing to remove")
        return
    total = _megabytes(sum(one.size for one in found.values()))
    question = f"Remove these {len(found)}, {total} in total?"
    if not yes and not (sys.stdin.isatty() and typer.confirm(question)):
        out.print("nothing was removed; --yes removes them without asking")
        return
    removed = [one for one in found.values() if remove(one)]
    out.print(f"removed {len(removed)} of {len(found)}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"

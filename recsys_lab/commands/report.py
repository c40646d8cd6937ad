"""`recsys-lab report FOLDER...`."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folders: Annotated[
        list[Path], typer.Argument(help="searched for run folders", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="default: comparison/ in the folder, or in the folder that holds all of them",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compare runs: tables, figures and one page."""
    from recsys_lab.report.__main__ import main

    words = [str(folder) for folder in folders]
    raise typer.Exit(main([*words, *([] if out is None else ["--out", str(out)])]))

"""`recsys-lab train WORD...`."""

import sys
from typing import Annotated

import typer


def train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORD...",
            help="choices, values and options of Hydra; --help lists them",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train and test a model, as `python train.py` does."""
    from recsys_lab.run import command_line

    command_line.train(sys.argv[2:])  # as they were typed

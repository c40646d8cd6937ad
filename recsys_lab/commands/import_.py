"""`recsys-lab import FILE [OVERRIDES...]`."""

from pathlib import Path
from typing import Annotated

import typer


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="word2vec text or binary, GloVe, .npy with ids, .safetensors or .parquet",
            show_default=False,
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="as for train.py, such as catalog=amazon", show_default=False),
    ] = None,
) -> None:
    """Test vectors that were trained elsewhere: a run folder without training."""
    from recsys_lab.run.command_line import train

    quoted = str(file).replace("'", r"\'").replace("${", r"\${")  # a path, no interpolation
    train([*(overrides or []), "model=external", f"vectors='{quoted}'"])

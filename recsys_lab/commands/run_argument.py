"""The argument RUN, which most commands begin with."""

from pathlib import Path
from typing import Annotated

import typer

RunFolder = Annotated[
    Path,
    typer.Argument(
        help="folder of a run, its embeddings, or latest: the newest finished run, also of a sweep",
        show_default=False,
    ),
]

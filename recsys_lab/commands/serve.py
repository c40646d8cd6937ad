"""`recsys-lab serve RUN...`."""

from pathlib import Path
from typing import Annotated

import typer


def serve(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="folders of runs, or latest: the newest finished run, also of a sweep",
            show_default=False,
        ),
    ],
    host: Annotated[str, typer.Option(help="name or address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 8000,
) -> None:
    """Show the neighbours of items by several runs and baselines side by side, in the browser."""
    from recsys_lab.compute.process import prepare_process
    from recsys_lab.results.latest_run import resolve_run
    from recsys_lab.vectors.errors import VectorsError

    prepare_process()
    try:
        from recsys_lab.serve import server
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "uvicorn"):
            raise
        raise VectorsError(
            f"the page needs {error.name}: pip install -c constraints.txt -e '.[serve]'"
        ) from error
    server.serve([resolve_run(run) for run in runs], host, port)

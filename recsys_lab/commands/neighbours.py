"""`recsys-lab neighbours RUN`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from recsys_lab.commands.run_argument import RunFolder
from recsys_lab.compute.counts import count_of


def neighbours(
    run: RunFolder,
    out: Annotated[
        Path, typer.Option(help="the Parquet file to write", metavar="FILE", show_default=False)
    ],
    k: Annotated[int, typer.Option("--k", "-k", help="length of the lists")] = 20,
    exact: Annotated[bool, typer.Option("--exact", help="no index, at any size")] = False,
    min_recall: Annotated[
        float, typer.Option(help="least share of the exact lists that an index has to find")
    ] = 0.98,
    probes: Annotated[
        int | None,
        typer.Option(help="cells of the index to search for each item; default: as many as needed"),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            help="search on a Ray cluster: auto, host:port, or local to start one here",
            metavar="ADDRESS",
        ),
    ] = None,
) -> None:
    """Write the nearest neighbours of all items; a second start goes on.

    A row of FILE is a neighbour: item, neighbour, rank (from 1), score. Items that the model cannot
    score have no rows. Above 100,000 items an index is used where faiss is installed.
    """
    import logging

    from rich.console import Console
    from rich.progress import Progress

    from recsys_lab.results.latest_run import resolve_run
    from recsys_lab.vectors.embeddings import Embeddings
    from recsys_lab.vectors.neighbours import SearchOptions, write_neighbours

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        logging.basicConfig(format="%(message)s")  # within, so that messages go above the bar
        logging.getLogger("recsys_lab").setLevel(logging.INFO)
        task = bar.add_task("neighbours", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if not console.is_terminal:
                typer.echo(f"{done:,} of {total:,} items", err=True)

        options = SearchOptions(exact, min_recall, probes)
        embeddings = Embeddings.load(resolve_run(run))
        nodes = None if ray is None else _nodes(ray)
        written = write_neighbours(embeddings, out, k, options, show, nodes)
    typer.echo(
        f"{count_of(written.num_rows, 'neighbour')} of {count_of(written.num_items, 'item')}; "
        f"{written.num_unscored:,} cannot be scored and have none",
        err=True,
    )
    typer.echo(out)


def _nodes(address: str) -> Any:
    from recsys_lab.vectors.ray_search import search_on_ray

    return search_on_ray(address)

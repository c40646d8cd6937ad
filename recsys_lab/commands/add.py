"""`recsys-lab add RUN FILE`."""

from pathlib import Path
from typing import Annotated

import typer

from recsys_lab.commands.run_argument import RunFolder
from recsys_lab.compute.counts import count_of


def add(
    run: RunFolder,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="new items, in the form of the run's catalogue; of an event log, later events",
            show_default=False,
        ),
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option(
            help="of a run on an event log: a table that describes items", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="folder to write; default: embeddings_added/FILE in the run", show_default=False
        ),
    ] = None,
    max_bad_fraction: Annotated[
        float | None,
        typer.Option(
            help="largest share of lines that cannot be used; default: that of the run",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Give vectors to new items and users, without training again."""
    from rich.console import Console
    from rich.progress import Progress

    from recsys_lab.config.targets import ConfigurationError
    from recsys_lab.models.task import TrainingError
    from recsys_lab.results.latest_run import resolve_run
    from recsys_lab.run import add as room
    from recsys_lab.vectors.errors import VectorsError

    try:
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("new items", total=None)
            done = room.add(
                resolve_run(run),
                file,
                out,
                lambda steps, total: bar.update(task, completed=steps, total=total),
                max_bad_fraction,
                items,
            )
    except (ConfigurationError, TrainingError, ValueError) as error:
        remedy = str(error).replace("max_bad_fraction=", "--max-bad-fraction")
        raise VectorsError(remedy) from error
    typer.echo(f"{file or items}: {done.account}", err=True)
    words = {"pairs": "from pairs", "side information": "from side information"}
    made = [
        f"{count:,} {words.get(source, 'without a vector')}"
        for source, count in done.counts.items()
        if count
    ]
    typer.echo(f"{count_of(sum(done.counts.values()), 'new item')}: {', '.join(made)}", err=True)
    typer.echo(
        f"{count_of(done.num_known, 'item')} there before, whose vectors stay; "
        f"{count_of(done.num_pairs, 'new pair')}",
        err=True,
    )
    if done.users is not None:
        new, known = done.users
        typer.echo(
            f"{count_of(new, 'new user')}; {count_of(known, 'user')} there before, with what they "
            "did since",
            err=True,
        )
    typer.echo(done.folder)

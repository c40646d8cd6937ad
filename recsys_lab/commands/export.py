"""`recsys-lab export RUN --format F --out FILE`."""

from pathlib import Path
from typing import Annotated

import typer

from recsys_lab.commands.run_argument import RunFolder
from recsys_lab.compute.counts import count_of


def export(
    run: RunFolder,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="word2vec, word2vec-binary, npy, safetensors or faiss",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="the file to write", show_default=False)],
    which: Annotated[
        str | None,
        typer.Option(
            help="write this table alone: vector, query or key  [default: what the score needs]",
            show_default=False,
        ),
    ] = None,
    users: Annotated[
        bool, typer.Option("--users", help="write the users of an event log, not its items")
    ] = False,
    nodes: Annotated[
        bool, typer.Option("--nodes", help="write the types and labels, not the items")
    ] = False,
) -> None:
    """Write the embeddings of a run for other programs."""
    from typing import Any

    from rich.console import Console
    from rich.progress import Progress

    from recsys_lab.results.latest_run import resolve_run
    from recsys_lab.vectors import export as room
    from recsys_lab.vectors.embeddings import Embeddings
    from recsys_lab.vectors.errors import VectorsError

    if users and nodes:
        raise VectorsError("--users and --nodes are files of their own: name one of them")
    embeddings = Embeddings.load(resolve_run(run))
    of = "users" if users else "nodes" if nodes else "items"
    chosen: dict[str, Any] = {"form": form, "which": which, "of": of}
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("writing", total=room.num_rows(embeddings, **chosen))
        done = room.export(
            embeddings, out=out, advance=lambda rows: bar.advance(task, rows), **chosen
        )
    exported = count_of(done.num_items, of.removesuffix("s"))
    console.print(f"{exported}; {done.left_out:,} without a score are left out")
    if done.note:
        console.print(f"note: {done.note}")
    for path in done.files:
        typer.echo(path)

"""`recsys-lab map RUN`."""

from enum import StrEnum
from typing import Annotated

import typer

from recsys_lab.commands.run_argument import RunFolder


class Color(StrEnum):
    """What colours the items of a map."""

    CATEGORY = "category"
    BRAND = "brand"
    PRICE = "price"
    NUM_PAIRS = "num_pairs"


def map(
    run: RunFolder,
    color: Annotated[Color, typer.Option(help="what colours the items")] = Color.CATEGORY,
    sample: Annotated[int, typer.Option(min=3, help="the largest number of items")] = 200_000,
    seed: Annotated[int, typer.Option(min=0, help="of the sample and the projection")] = 0,
    port: Annotated[int, typer.Option(min=1, max=65535, help="of 127.0.0.1")] = 5055,
    prepare_only: Annotated[
        bool, typer.Option("--prepare-only", help="write the table of the map, and do not show it")
    ] = False,
) -> None:
    """Show the catalogue as an interactive map in the browser: similar items lie close.

    The plain item vectors are projected by UMAP; the neighbours of an item are those of the run's
    score. The table of the map is kept beside the embeddings, so a second start is quick.
    """
    from recsys_lab.results.latest_run import resolve_run
    from recsys_lab.vectors.atlas import check_viewer, show_map
    from recsys_lab.vectors.catalog_map import MapOptions, prepare_map
    from recsys_lab.vectors.embeddings import Embeddings

    def note(text: str) -> None:
        typer.echo(text, err=True)

    if not prepare_only:
        check_viewer(port)
    embeddings = Embeddings.load(resolve_run(run))
    path = prepare_map(embeddings, MapOptions(sample=sample, seed=seed), note)
    if prepare_only:
        typer.echo(path)
        return
    typer.echo(f"http://127.0.0.1:{port}")
    show_map(path, color.value, port)

"""`recsys-lab similar RUN ITEM...`."""

from typing import Annotated

import typer

from recsys_lab.commands.run_argument import RunFolder


def similar(
    run: RunFolder,
    items: Annotated[
        list[str],
        typer.Argument(
            metavar="ITEM...",
            help="an id, or words of a title in quotes; after -- it may begin with -",
            show_default=False,
        ),
    ],
    k: Annotated[int, typer.Option("--k", "-k", help="length of a list")] = 10,
    not_known: Annotated[
        bool, typer.Option("--not-known", help="leave out the pairs of the training data")
    ] = False,
    category: Annotated[
        str | None, typer.Option(help="only items with this category", show_default=False)
    ] = None,
    brand: Annotated[
        str | None, typer.Option(help="only items of this brand", show_default=False)
    ] = None,
    min_price: Annotated[float | None, typer.Option(help="least price", show_default=False)] = None,
    max_price: Annotated[
        float | None, typer.Option(help="largest price", show_default=False)
    ] = None,
    diverse: Annotated[
        float,
        typer.Option(
            metavar="0..1",
            help="avoid near-duplicates: 0 orders by score alone, 0.3 is a start",
        ),
    ] = 0.0,
    explain: Annotated[
        bool, typer.Option("--explain", help="show what each score consists of")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Show the items most similar to an item.

    The exit status is 0 where every ITEM has a list, 3 where the words of a title fit several
    items, which are then listed, and 1 for an error.
    """
    import orjson

    from recsys_lab.commands.terminal import print_answers
    from recsys_lab.results.latest_run import resolve_run
    from recsys_lab.vectors.answers import answer
    from recsys_lab.vectors.embeddings import Embeddings
    from recsys_lab.vectors.similar import Wishes

    wishes = Wishes(not_known, category, brand, min_price, max_price, diverse)
    texts = [text.encode("utf-8", "replace").decode() for text in items]  # of any bytes
    found = answer(Embeddings.load(resolve_run(run)), texts, k, wishes, explain=explain)
    if as_json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        print_answers(found)
    if any(one["error"] for one in found["answers"]):
        raise typer.Exit(1)
    if any(one["choices"] for one in found["answers"]):
        raise typer.Exit(3)

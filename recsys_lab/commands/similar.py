"""`recsys-lab similar RUN ITEM...`."""

from typing import Annotated

import typer

from recsys_lab.commands.run_argument import RunFolder


def similar(
    run: RunFolder,
    items: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ITEM...",
            help="an id, or words of a title in quotes; after -- it may begin with -",
            show_default=False,
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(help="items for this user of an event log, in place of ITEM", metavar="ID"),
    ] = None,
    like_user: Annotated[
        str | None,
        typer.Option(help="users like this one, in place of ITEM", metavar="ID"),
    ] = None,
    k: Annotated[int, typer.Option("--k", "-k", help="length of a list")] = 10,
    not_known: Annotated[
        bool | None,
        typer.Option(
            "--not-known/--known",
            help="leave out the pairs of the training data; for a user, items of the history  "
            "[default: --known; for a user, as the run was tested]",
            show_default=False,
        ),
    ] = None,
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
    """Show the items most similar to an item, or those that fit a user best.

    The exit status is 0 where every ITEM has a list, 3 where the words of a title fit several
    items, which are then listed, and 1 for an error.
    """
    import orjson

    from recsys_lab.commands.terminal import print_answers
    from recsys_lab.commands.terminal_users import print_user_answer
    from recsys_lab.results.latest_run import resolve_run
    from recsys_lab.vectors.answers import answer
    from recsys_lab.vectors.embeddings import Embeddings
    from recsys_lab.vectors.errors import VectorsError
    from recsys_lab.vectors.similar import Wishes
    from recsys_lab.vectors.user_answers import answer_for_user, answer_users_like

    embeddings = Embeddings.load(resolve_run(run))
    wishes = Wishes(bool(not_known), category, brand, min_price, max_price, diverse)
    if sum(map(bool, (items, user, like_user))) != 1:
        raise VectorsError("name one or several ITEMs, or --user=ID, or --like-user=ID")
    if user is not None:
        found = answer_for_user(embeddings, user, k, wishes, not_known)
    elif like_user is not None:
        found = answer_users_like(embeddings, like_user, k)
    else:
        texts = [text.encode("utf-8", "replace").decode() for text in items or ()]  # of any bytes
        found = answer(embeddings, texts, k, wishes, explain=explain)
    if as_json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    elif "user" in found:
        print_user_answer(found)
    else:
        print_answers(found)
    answers = found.get("answers", ())
    if any(one["error"] for one in answers):
        raise typer.Exit(1)
    if any(one["choices"] for one in answers):
        raise typer.Exit(3)

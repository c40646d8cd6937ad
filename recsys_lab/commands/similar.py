"""`recsys-lab similar RUN ITEM...`."""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from recsys_lab.commands.run_argument import RunFolder

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings
    from recsys_lab.vectors.similar import Wishes


class _Asked(NamedTuple):
    """What the command is asked: one of the first five, and the group to list in place of items."""

    items: list[str] | None
    user: str | None
    like_user: str | None
    node: str | None
    like_node: str | None
    group: str | None


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
    node: Annotated[
        str | None,
        typer.Option(help="items for this type or label, in place of ITEM", metavar="GROUP=NAME"),
    ] = None,
    like_node: Annotated[
        str | None,
        typer.Option(help="types or labels like this one, in place of ITEM", metavar="GROUP=NAME"),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="list these in place of items: user, user_type, item_type or a field",
            metavar="GROUP",
        ),
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
    """Show the items most similar to an item, or those that fit a user, a type or a label best.

    The exit status is 0 where every ITEM has a list, 3 where the words of a title fit several
    items, which are then listed, and 1 for an error.
    """
    import orjson

    from recsys_lab.commands.terminal import print_answers
    from recsys_lab.commands.terminal_nodes import print_node_answer
    from recsys_lab.commands.terminal_users import print_user_answer
    from recsys_lab.results.latest_run import resolve_run
    from recsys_lab.vectors.embeddings import Embeddings
    from recsys_lab.vectors.similar import Wishes

    embeddings = Embeddings.load(resolve_run(run))
    wishes = Wishes(bool(not_known), category, brand, min_price, max_price, diverse)
    asked = _Asked(items, user, like_user, node, like_node, group)
    found = _answer(embeddings, asked, k, wishes, not_known, explain)
    if as_json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    elif "asked" in found:
        print_node_answer(found)
    elif "user" in found:
        print_user_answer(found)
    else:
        print_answers(found)
    answers = found.get("answers", ())
    if any(one["error"] for one in answers):
        raise typer.Exit(1)
    if any(one["choices"] for one in answers):
        raise typer.Exit(3)


def _answer(
    embeddings: "Embeddings",
    asked: _Asked,
    k: int,
    wishes: "Wishes",
    not_known: bool | None,
    explain: bool,
) -> dict[str, Any]:
    """The document that answers the question."""
    from recsys_lab.vectors import node_answers as nodes
    from recsys_lab.vectors.answers import answer
    from recsys_lab.vectors.user_answers import answer_for_user, answer_users_like

    _check(asked, wishes, explain)
    if asked.items:
        texts = [text.encode("utf-8", "replace").decode() for text in asked.items]  # of any bytes
        return answer(embeddings, texts, k, wishes, explain=explain, group=asked.group)
    if asked.group is not None:
        return nodes.answer_nearest_nodes(
            embeddings, asked.group, k, user=asked.user, node=asked.node
        )
    if asked.node is not None:
        return nodes.answer_for_node(embeddings, asked.node, k, wishes)
    if asked.like_node is not None:
        return nodes.answer_nodes_like(embeddings, asked.like_node, k)
    if asked.user is not None:
        return answer_for_user(embeddings, asked.user, k, wishes, not_known)
    return answer_users_like(embeddings, asked.like_user or "", k)


def _check(asked: _Asked, wishes: "Wishes", explain: bool) -> None:
    """Refuse options that do not go together."""
    from recsys_lab.vectors.errors import VectorsError
    from recsys_lab.vectors.similar import Wishes

    if sum(map(bool, asked[:5])) != 1:
        raise VectorsError(
            "name one or several ITEMs, or one of --user=ID, --like-user=ID, --node=GROUP=NAME and "
            "--like-node=GROUP=NAME"
        )
    like = "--like-user" if asked.like_user else "--like-node" if asked.like_node else ""
    if like and asked.group:
        raise VectorsError(f"--as has no effect with {like}: leave it out")
    if (like or asked.group) and (wishes != Wishes() or explain):
        raise VectorsError(
            "filters, --diverse and --explain are for lists of items: leave them out of a list of "
            "users, types or labels"
        )
    if explain and not asked.items:
        raise VectorsError("--explain is for ITEM: leave it out for a user or a node")

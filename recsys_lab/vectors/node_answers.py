"""Requests for types and labels, or for what is near one, answered as plain values."""

from typing import TYPE_CHECKING, Any

import polars as pl

from recsys_lab.vectors.answers import answer_head, plain
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.for_nodes import USER, items_for_node, nearest_nodes
from recsys_lab.vectors.similar import Wishes
from recsys_lab.vectors.stored_nodes import near_names

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings


def read_node(embeddings: "Embeddings", text: str) -> tuple[str, str]:
    """Group and name of a node that is written as GROUP=NAME, or as NAME where one group has it.

    Raises:
        VectorsError: no node is named so, or several are.
    """
    nodes = embeddings.nodes
    group, sign, name = text.partition("=")
    if sign and group in nodes.groups:
        return group, name
    if sign and group == USER:
        raise VectorsError(f"a user is no type and no label: name it by --user={name}")
    table = nodes.table
    found = table.filter(pl.col("name").str.to_lowercase() == text.lower())
    groups = found["group"].unique(maintain_order=True).to_list()
    if len(groups) == 1:
        return groups[0], text
    if groups:
        choices = " or ".join(f"{group}={text}" for group in groups)
        raise VectorsError(f"several groups have {text!r}: name {choices}")
    near = near_names(text, table["name"])
    known = table.filter(pl.col("name").is_in(near)).head(len(near)).select("group", "name").rows()
    hint = " or ".join(f"{group}={name}" for group, name in known)
    question = f" (did you mean {hint}?)" if hint else ""
    raise VectorsError(
        f"no type and no label is named {text!r}{question}; name one as GROUP=NAME, where GROUP is "
        f"{' or '.join(nodes.groups)}"
    )


def answer_for_node(embeddings: "Embeddings", text: str, k: int, wishes: Wishes) -> dict[str, Any]:
    """The items for a type or a label: a document with these fields.

    - run, score, ndcg@10: as of `answers.answer`.
    - asked: group, name and count of the node.
    - items: item, title, brand, categories, price, score and seen of each.

    Raises:
        VectorsError: there is no such node, or an option cannot be used.
    """
    group, name = read_node(embeddings, text)
    found = items_for_node(embeddings, group, name, k, wishes)
    return _head(embeddings, group, name) | {"items": plain(found)}


def answer_nodes_like(embeddings: "Embeddings", text: str, k: int) -> dict[str, Any]:
    """The nodes of its group like a node: `nodes`, with name, score (a cosine) and count of each.

    Raises:
        VectorsError: there is no such node, or an option cannot be used.
    """
    group, name = read_node(embeddings, text)
    found = embeddings.nodes.like(group, name, k)
    like = {"group": group, "by": "cosine", "nodes": plain(found)}
    return _head(embeddings, group, name) | like


def answer_nearest_nodes(
    embeddings: "Embeddings", group: str, k: int, *, user: str | None, node: str | None
) -> dict[str, Any]:
    """The nodes of a group near a user or a node: `nodes`, with name, score and count of each.

    Raises:
        VectorsError: there is no such user, node or group, or an option cannot be used.
    """
    if user is not None:
        query, head = (
            embeddings.users.query(user),
            answer_head(embeddings)
            | {"asked": {"group": USER, "name": user, "count": embeddings.users.num_events(user)}},
        )
    else:
        asked = read_node(embeddings, node or "")
        query, head = embeddings.nodes.query(*asked), _head(embeddings, *asked)
    found = nearest_nodes(embeddings, query, group, k)
    return head | {"group": group, "by": "score", "nodes": plain(found)}


def _head(embeddings: "Embeddings", group: str, name: str) -> dict[str, Any]:
    table = embeddings.nodes.table
    row = embeddings.nodes.row(group, name)
    asked = {"group": group, "name": table["name"][row], "count": int(table["count"][row])}
    return answer_head(embeddings) | {"asked": asked}

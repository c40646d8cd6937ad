"""Requests for the items of a user, or for like users, answered as plain values."""

from typing import TYPE_CHECKING, Any

from recsys_lab.vectors.answers import answer_head, plain
from recsys_lab.vectors.for_histories import items_for_user
from recsys_lab.vectors.similar import Wishes
from recsys_lab.vectors.store import TEXT_COLUMNS

if TYPE_CHECKING:
    from recsys_lab.vectors.embeddings import Embeddings

_LATEST = 5  # items of a history that are shown


def answer_for_user(
    embeddings: "Embeddings", user: str, k: int, wishes: Wishes, not_known: bool | None
) -> dict[str, Any]:
    """The items for a user: a document with these fields.

    - run, score, ndcg@10: as of `answers.answer`.
    - user, num_events; latest: the latest items of the history, the latest first.
    - items: item, title, brand, categories, price, score, in_history and seen of each.

    Raises:
        VectorsError: there is no such user, or an option cannot be used.
    """
    found = items_for_user(embeddings, user, k, wishes, not_known)
    latest = embeddings.users.history(user)[::-1][:_LATEST]
    return _head(embeddings, user) | {
        "latest": plain(embeddings.items.select(TEXT_COLUMNS)[latest]),
        "items": plain(found),
    }


def answer_users_like(embeddings: "Embeddings", user: str, k: int) -> dict[str, Any]:
    """The users like a user: as `answer_for_user`, with `users` in place of `items`.

    A user has user, score (a cosine) and num_events.

    Raises:
        VectorsError: there is no such user, or an option cannot be used.
    """
    return _head(embeddings, user) | {"users": plain(embeddings.users.like(user, k))}


def _head(embeddings: "Embeddings", user: str) -> dict[str, Any]:
    return answer_head(embeddings) | {
        "user": user,
        "num_events": embeddings.users.num_events(user),
    }

"""The embeddings of a run, as a user works with them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.listed_items import score_in_list
from recsys_lab.vectors.locating import locate_embeddings
from recsys_lab.vectors.lookup import did_you_mean, find_rows
from recsys_lab.vectors.score_parts import score_parts
from recsys_lab.vectors.store import check_columns
from recsys_lab.vectors.stored_items import StoredItems
from recsys_lab.vectors.unscored import why_not

if TYPE_CHECKING:
    from recsys_lab.evaluation.histories import HistoryWeights
    from recsys_lab.vectors.encode import EncodedItem
    from recsys_lab.vectors.known_pairs import KnownPairs
    from recsys_lab.vectors.stored_nodes import StoredNodes
    from recsys_lab.vectors.users import Users


@dataclass(frozen=True, repr=False)
class Embeddings(StoredItems):
    """Items and their vectors, read from the disk when they are first needed.

    `queries` and `keys` are what neighbours are searched with: the inner product of the query of
    one item and the key of another is the score that the run was measured by. `vectors` are the
    plain item vectors; their cosine is another, weaker ranking unless the score is a cosine.

    Attributes:
        path: the Parquet file of the items.
        info: contents of `embeddings.json`; empty for a file from elsewhere.
    """

    @classmethod
    def load(cls, path: str | Path) -> "Embeddings":
        """Open the embeddings of a run folder, of its folder `embeddings`, or a Parquet file.

        A file from elsewhere needs the columns `item` and `vector`, or `query` and `key`.

        Raises:
            VectorsError: there are none, or they cannot be read.
        """
        found = cls(*locate_embeddings(Path(path)))
        check_columns(found.path, found._columns, found.info)
        return found

    def __repr__(self) -> str:
        return f"Embeddings({str(self.folder)!r}, {len(self):,} items)"

    def index(self, ids: Sequence[str]) -> np.ndarray:
        """Row numbers (n,) int64 of raw ids.

        Raises:
            VectorsError: an id is not there.
        """
        if len(ids) == 1 and len(found := (self.ids == ids[0]).arg_true()) == 1:
            return found.to_numpy().astype(np.int64)  # without a table of all ids
        wanted = pl.DataFrame({"item": ids}, schema={"item": pl.String})
        rows = wanted.join(self._rows, on="item", how="left", maintain_order="left")["row"]
        if rows.null_count():
            raise VectorsError(self._unknown(ids[int(rows.is_null().arg_max() or 0)]))
        return rows.to_numpy().astype(np.int64)

    def vector(self, item: str) -> np.ndarray:
        """The plain vector (D,) of an item."""
        return self.vectors[self.index([item])[0]].copy()

    def score(self, one: str, other: str) -> float:
        """The score of two items, as the run was measured by.

        Raises:
            VectorsError: an item is not there, or the model cannot score it, or the run has lists
                and that of the first item does not hold the other.
        """
        rows = self.index([one, other])
        for row in rows:
            self._check_scored(row)
        if self.lists is not None:
            return score_in_list(self, one, other)
        return float(self.queries[rows[0]] @ self.keys[rows[1]])

    def why_not(self, row: int) -> str:
        """Why the model cannot score an item, in half a sentence."""
        return why_not(self.items, self.info, row)

    # -- training pairs ------------------------------------------------------------------------

    def relations(self, row: int, others: np.ndarray) -> list[list[str] | None]:
        """How other items (n,) are related to an item in training.

        Names of the relations; None where they are no training pair, and an empty list where the
        pair has no named relation.
        """
        return self.known_pairs.relations(row, others)

    @cached_property
    def known_pairs(self) -> "KnownPairs":
        """The training pairs by item."""
        from recsys_lab.vectors.known_pairs import KnownPairs  # late: numba takes half a second

        return KnownPairs.from_table(self.pairs, self.info.get("relations", []), len(self))

    # -- similar items -------------------------------------------------------------------------

    def similar(
        self,
        item: str,
        k: int = 10,
        *,
        not_known: bool = False,
        category: str | None = None,
        brand: str | None = None,
        min_price: float | None = None,
        max_price: float | None = None,
        diversity: float = 0.0,
    ) -> pl.DataFrame:
        """The k items with the highest scores with an item, the best first.

        Columns: item, title, brand, categories, price, score, relation and seen. `relation` holds
        the names of the relations of a training pair, and null where there is no such pair. Items
        that are not `seen` are cold: they have their score from side information alone.

        Filters choose items before the search, so k are found where there are k. In a large
        catalogue `screen` is built with the second list, and the same lists take less time then.

        Args:
            item: its id.
            k: length of the list.
            not_known: leave out items that form a training pair with this one.
            category: a label in any of the category paths; upper and lower case are the same here
                and in `brand`.
            brand: the brand.
            min_price: least price; items without a price are left out.
            max_price: largest price; items without a price are left out.
            diversity: 0 .. 1, for lists without near-duplicates (`diversity.diversify`), chosen
                from the 10 k best items, at least 100. Scores then need not descend.

        Raises:
            VectorsError: the item is not there or has no score, or an option cannot be used.

        Examples:
            >>> embeddings = Embeddings.load("shoes")
            >>> embeddings.similar("0007", 2).select("item", "title", "relation").rows()
            [('a b', 'Blue shoe', ['also_bought', 'bought_together']), ('nan', None, None)]
            >>> embeddings.similar("0007", category="hats")["item"].to_list()
            ['c']
        """
        from recsys_lab.vectors.similar import Wishes, similar_items

        wishes = Wishes(not_known, category, brand, min_price, max_price, diversity)
        return similar_items(self, self.index([item]), k, wishes).drop("query_item")

    def similar_many(
        self, items: Sequence[str], k: int = 10, *, not_known: bool = False, diversity: float = 0.0
    ) -> pl.DataFrame:
        """The lists of several items, one below the other: `similar`, with a column `query_item`.

        Examples:
            >>> embeddings = Embeddings.load("shoes")
            >>> embeddings.similar_many(["a b", "nan"], 1).select("query_item", "item").rows()
            [('a b', 'c'), ('nan', '0007')]
        """
        from recsys_lab.vectors.similar import Wishes, similar_items

        wishes = Wishes(not_known=not_known, diversity=diversity)
        return similar_items(self, self.index(items), k, wishes)

    # -- users ---------------------------------------------------------------------------------

    @cached_property
    def users(self) -> "Users":
        """The users of an event log: ids, vectors, histories, and `like`, the users like one."""
        from recsys_lab.vectors.users import users_of  # late: numba takes half a second

        return users_of(self.folder, self.info)

    def for_user(
        self, user: str, k: int = 10, *, not_known: bool | None = None, **wishes: Any
    ) -> pl.DataFrame:
        """The k items with the highest scores for a user's whole history, the best first.

        Columns: item, title, brand, categories, price, score, in_history and seen.

        Args:
            user: the id, or its hash where ids were hashed as they were read.
            k: length of the list.
            not_known: leave out items of the history; None: as the test of the run did.
            wishes: filters and diversity of `similar`, such as category="hats".
        """
        from recsys_lab.vectors.for_histories import items_for_user
        from recsys_lab.vectors.similar import Wishes

        return items_for_user(self, user, k, Wishes(**wishes), not_known)

    def for_history(
        self,
        items: Sequence[str],
        k: int = 10,
        *,
        not_known: bool | None = None,
        weigh: "HistoryWeights | None" = None,
        **wishes: Any,
    ) -> pl.DataFrame:
        """The list of a history that is given, the latest item last; otherwise as `for_user`.

        `weigh` says what an item of the history weighs; None: as in the run, else .7 ** age.
        """
        from recsys_lab.vectors.for_histories import items_for_history
        from recsys_lab.vectors.similar import Wishes

        return items_for_history(self, items, k, Wishes(**wishes), not_known, weigh)

    # -- types and labels ----------------------------------------------------------------------

    @cached_property
    def nodes(self) -> "StoredNodes":
        """The types of users, types of items and labels that have vectors, and their groups.

        Examples:
            >>> nodes = Embeddings.load("shoes").nodes
            >>> nodes.table.select("group", "name", "count").rows()
            [('category', 'Hats', 1), ('category', 'Shoes', 2), ('user_type', 'young', 3)]
            >>> nodes.like("category", "hats")["name"].to_list()
            ['Shoes']
        """
        from recsys_lab.vectors.stored_nodes import nodes_of  # late: numba takes half a second

        return nodes_of(self.folder, self.info)

    def for_node(self, group: str, name: str, k: int = 10, **wishes: Any) -> pl.DataFrame:
        """The k items with the highest scores for a type or a label, the best first.

        Columns: item, title, brand, categories, price, score and seen.

        Args:
            group: of the node, such as "user_type", or a field such as "category".
            name: of the node.
            k: length of the list.
            wishes: filters and diversity of `similar`, such as max_price=20.

        Examples:
            >>> Embeddings.load("shoes").for_node("user_type", "young", 2)["item"].to_list()
            ['0007', 'a b']
        """
        from recsys_lab.vectors.for_nodes import items_for_node
        from recsys_lab.vectors.similar import Wishes

        return items_for_node(self, group, name, k, Wishes(**wishes))

    def nearest(
        self,
        group: str,
        k: int = 10,
        *,
        item: str | None = None,
        user: str | None = None,
        node: tuple[str, str] | None = None,
    ) -> pl.DataFrame:
        """The k nodes of a group with the highest scores for an item, a user or a node.

        Columns: name, score and count. The group "user" has the users with vectors of their own.

        Args:
            group: what is listed.
            k: length of the list.
            item: the id of an item.
            user: the id of a user.
            node: group and name.

        Examples:
            >>> embeddings = Embeddings.load("shoes")
            >>> embeddings.nearest("category", 1, item="0007").columns
            ['name', 'score', 'count']
            >>> embeddings.nearest("category", node=("user_type", "young"))["name"].to_list()
            ['Hats', 'Shoes']
        """
        from recsys_lab.vectors.for_nodes import nearest_nodes, query_of_one

        return nearest_nodes(self, query_of_one(self, item, user, node), group, k)

    # -- other questions -----------------------------------------------------------------------

    def encode(
        self,
        *,
        brand: str | None = None,
        categories: Sequence[Sequence[str]] | Sequence[str] | None = None,
        price: float | str | None = None,
        title: str | None = None,
    ) -> "EncodedItem":
        """The vectors of an item that the run does not have, from its side information.

        They are those that the model gives to a cold item with these values. Values are cleaned as
        those of a catalogue. Values that training never met are left out, with a warning, and named
        in the result. `search.top_k` finds neighbours with the query.

        Args:
            brand: the maker.
            categories: paths of labels, the broadest first, or one path.
            price: in dollars; a number or text such as "$9.99".
            title: the title.

        Raises:
            VectorsError: the model has no side information or was not trained on a given field, or
                training met none of the values.
        """
        from recsys_lab.vectors.encode import encode_item

        return encode_item(self, brand=brand, categories=categories, price=price, title=title)

    def find(self, text: str) -> pl.DataFrame:
        """The items that an id or words of a title name, the best first (`lookup.find_rows`).

        Examples:
            >>> Embeddings.load("shoes").find("red").select("item", "title").rows()
            [('0007', 'Red shoe'), ('c', 'Red hat')]
        """
        return self.items[find_rows(self.items, text)]

    def explain(self, item: str, others: Sequence[str]) -> pl.DataFrame:
        """What the scores of an item with others consist of (`score_parts.score_parts`).

        Columns: item (the other one), score, and parts that add up to the score.

        Examples:
            >>> found = Embeddings.load("shoes").explain("0007", ["a b"])
            >>> found.columns
            ['item', 'score', 'vectors', 'popularity']
            >>> bool(abs(found["score"][0] - found["vectors"][0] - found["popularity"][0]) < 1e-6)
            True
        """
        row, *rows = self.index([item, *others]).tolist()
        for place in (row, *rows):
            self._check_scored(place)
        parts = score_parts(self, row, np.array(rows, np.int64))
        total = np.sum(list(parts.values()), axis=0)
        return pl.DataFrame({"item": list(others), "score": total, **parts})

    # -- private -------------------------------------------------------------------------------

    def _check_scored(self, row: int) -> None:
        if not self.scored[row]:
            raise VectorsError(f"item {self.ids[int(row)]!r} has no score: {self.why_not(row)}")

    @cached_property
    def _rows(self) -> pl.DataFrame:
        return self.items.select("item").with_row_index("row")

    def _unknown(self, item: str) -> str:
        there = f"among the {len(self):,} items of {self.folder}"
        return f"no item {json.dumps(item)} {there}{did_you_mean(self.items, item)}"

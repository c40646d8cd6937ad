"""What the names of a header say: two items, a weight, users, or a table that describes items."""

import re
from collections.abc import Sequence
from itertools import chain

words = str.split

_THINGS = words(
    "item product node vertex article movie track song artist book paper page asin isbn sku "
    "entity concept word token gene protein business venue place poi hotel game app author user "
    "person object good id v n"
)
_ENDS = [  # two names of one thing: item_1 and item_2, source_id and target_id
    ("1", "2"), ("a", "b"), ("x", "y"), ("i", "j"), ("0", "1"), ("left", "right"), ("src", "dst"),
    ("source", "target"), ("from", "to"), ("start", "end"), ("head", "tail"), ("first", "second"),
    ("origin", "destination"), ("one", "two"), ("l", "r"), ("query", "candidate"),
]  # fmt: skip
_PAIRS = [
    ("source", "target"), ("source", "destination"), ("source", "dest"), ("src", "dst"),
    ("src", "dest"), ("src", "tgt"), ("from", "to"), ("start", "end"), ("head", "tail"),
    ("h", "t"), ("i", "j"), ("u", "v"), ("a", "b"), ("x", "y"), ("left", "right"),
    ("parent", "child"), ("citing", "cited"), ("ego", "alter"), ("subject", "object"),
    ("antecedent", "consequent"), ("antecedents", "consequents"), ("lhs", "rhs"),
    ("anchor", "positive"), ("follower", "followee"), ("follower", "following"),
    ("truster", "trustee"), ("trustor", "trustee"), ("sender", "receiver"), ("sender", "recipient"),
    ("rater", "ratee"), ("user", "friend"), ("userid", "friendid"), ("query", "result"),
    ("query", "item"), ("queryid", "itemid"), ("query", "product"), ("queryid", "productid"),
    ("seed", "recommendation"), ("quelle", "ziel"), ("von", "nach"), ("origen", "destino"),
    ("origem", "destino"), ("origine", "destination"), ("source", "cible"), ("de", "vers"),
    ("fuente", "destino"), ("origine", "destinazione"), ("источник", "цель"), ("源", "目标"),
]  # fmt: skip
_BEFORE_SECOND = words(
    "related recommended recommendation similar neighbor neighbour other target bought co also "
    "linked matched complementary substitute next"
)
_WEIGHTS = words(
    "weight w weights value count counts cnt n freq frequency score rating ratings stars "
    "overall strength times label y sim similarity support confidence lift "
    "cooccurrence gewicht peso poids val"
)
_IN_WEIGHTS = re.compile("weight|score|count|freq|rating|similarity|strength|prob|purchases|views")
_SMALLER_IS_CLOSER = re.compile(  # but not such as pagerank
    r"\w*(distance|dissimilarity)\w*|(travel|edge|link|path)?(costs?|lengths?)|dists?|ranks?|ranking"
    "|position"
)
SURE_WEIGHTS = frozenset(("weight", "w", "weights", "count", "counts", "cnt", "gewicht"))
_TYPES = words(
    "type relation relationtype relationid edgetype kind predicate rel rtype rely link linktype"
)
USERS = frozenset(
    words(
        "user userid users username uid usr customer customerid cust custid member memberid "
        "visitor visitorid session sessionid sess basket basketid order orderid invoice invoiceno "
        "invoiceid transaction transactionid transactionno reviewer reviewerid buyer buyerid "
        "shopper household householdid householdkey client clientid reader readerid player "
        "playerid steamid profile profileid account accountid person personid listener playlist "
        "playlistid "
        "pid cookie cookieid device deviceid visit visitid userkey customerkey"
    )
)
ITEMS = frozenset(
    words(
        "item itemid items product productid products asin parentasin movie movieid film filmid "
        "book bookid isbn article articleid artist artistid track trackid song songid sku skuid "
        "stockcode business businessid venue venueid locationid poi poiid place placeid game "
        "gameid app appid anime animeid recipe recipeid hotel hotelid news newsid video videoid ad "
        "adid beer beerid post postid repo repoid repository gmapid streamer tag tagid entity "
        "entityid goods goodsid sid iid productkey"
    )
)
_DESCRIBES = frozenset(
    words(
        "label title name description brand genre genres category categories price maincat tags "
        "timeset color size modularityclass releasedate year url imageurl author authors text"
    )
)
_INDEX = frozenset({"", "index", "id", "rowid", "row", "rownames", "x", "no", "nr"})
_MOST_NUMBERED = 2  # item1, item2; with more of them they are columns of a matrix


def plain_name(cell: str) -> str:
    """A name of a header in small letters, without spaces and signs.

    Of the typed names of Neo4j, `x:START_ID`, the type; of RecBole's, `x:token`, the name.
    """
    name = cell.strip().strip("\"'").lower()
    before, colon, kind = name.partition(":")
    kind = re.sub(r"\(.*\)", "", kind).strip()
    if kind in ("start_id", "end_id", "type"):
        return {"start_id": "start", "end_id": "end"}.get(kind, kind)
    if kind == "label" and not before:
        return "label"
    name = re.sub(r"\(.*\)", "", before if colon and kind.replace("_", "").isalpha() else name)
    return re.sub(r"[\W_]+", "", name)


def is_index(name: str) -> bool:
    """Whether the name, plain, is one of a column of row numbers."""
    return name in _INDEX or is_nameless(name)


def is_nameless(name: str) -> bool:
    """Whether a column has no name, or the one that pandas gives it."""
    return not name or re.fullmatch(r"unnamed\d+", name) is not None


def _families() -> dict[tuple[str, str], int]:
    """Pairs of plain names of two items, and how sure each is: the smaller the surer."""
    pairs: list[tuple[str, str]] = [*_PAIRS]
    for first, second in _ENDS:
        for thing in _THINGS:
            for middle in ("", "id", "name", "code"):
                pairs.append((f"{thing}{middle}{first}", f"{thing}{middle}{second}"))
                pairs.append((f"{thing}{first}{middle}", f"{thing}{second}{middle}"))
                pairs.append((f"{first}{thing}{middle}", f"{second}{thing}{middle}"))
        if len(first) > 1:
            pairs += [(f"{first}{x}", f"{second}{x}") for x in ("id", "name", "asin", "key")]
        pairs.append((f"id{first}", f"id{second}"))
        pairs.append((f"x{first}", f"x{second}"))
    for thing in ("item", "product", "asin", "article", "movie", "id", "node"):
        for middle in ("", "id", "asin", "s", "ids"):
            for before in _BEFORE_SECOND:
                for last in dict.fromkeys((before, f"{before}{thing}", f"{before}id")):
                    pairs.append((f"{thing}{middle}", f"{last}{middle}"))
                    pairs.append((thing, f"{last}{middle}"))
                    pairs.append((f"{thing}{middle}", last))
    return {pair: rank for rank, pair in reversed(list(enumerate(pairs)))}


_RANKS = _families()
_FIRST = {first for first, _ in _RANKS}
_SECOND = {second for _, second in _RANKS}


def item_pair(names: Sequence[str]) -> tuple[int, int] | None:
    """Places of the two items, where plain names tell both; single letters only in front."""
    firsts = [k for k, name in enumerate(names) if name in _FIRST]
    seconds = [k for k, name in enumerate(names) if name in _SECOND]
    found = [(_RANKS[key], i, j) for i in firsts for j in seconds
             if (key := (names[i], names[j])) in _RANKS and i != j
             and (len(names[i]) > 1 or (j - i == 1 and i < 2))]  # fmt: skip
    if not found:
        return None
    _, one, other = min(found)
    return None if _are_numbered(names, names[one]) else (one, other)


def _are_numbered(names: Sequence[str], name: str) -> bool:
    """Whether more than two columns differ from one by a number at the end only."""
    stem = name.rstrip("0123456789")
    return sum(re.fullmatch(re.escape(stem) + r"\d+", x) is not None for x in names) > (
        _MOST_NUMBERED
    )


def place_of(role: str, names: Sequence[str]) -> int | None:
    """Place of the weight or the relation ("type"), of several the one whose name is surest."""
    known = _WEIGHTS if role == "weight" else _TYPES
    place = next((names.index(name) for name in known if name in names), None)
    if place is None and role == "weight":  # such as combined_score
        found = (k for k, name in enumerate(names) if _IN_WEIGHTS.search(name))
        return next((k for k in found if not is_distance(names[k])), None)
    return place


def is_distance(name: str) -> bool:
    """Whether the plain name is that of a number that is small where two items are close."""
    return _SMALLER_IS_CLOSER.fullmatch(name) is not None


def users_and_items(names: Sequence[str]) -> tuple[int, int] | None:
    """Places of a column of users, orders or sessions and of one of items; None without both."""
    user = next((k for k, name in enumerate(names) if name in USERS), None)
    item = next((k for k, name in enumerate(names) if name in ITEMS), None)
    return None if user is None or item is None else (user, item)


def describes_items(names: Sequence[str]) -> bool:
    """Whether the names are those of a table of items or nodes: an id, and what describes it."""
    ids = ITEMS | {"id", "node", "nodeid", "key", "asin"}
    return bool(ids & set(names)) and bool(_DESCRIBES & set(names))


def is_known(names: Sequence[str]) -> bool:
    """Whether the names are those of a header that is understood."""
    return (
        item_pair(names) is not None
        or users_and_items(names) is not None
        or describes_items(names)
        or sum(name in chain(_WEIGHTS, _TYPES, ITEMS, USERS) for name in names) > 1
    )

"""Columns of an event log by their names: who, what, when, how."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from recsys_lab.readers.cells import show
from recsys_lab.readers.column_names import ITEMS, USERS, words

_SESSIONS = words(
    "session sessionid usersession sess visit visitid basket basketid order orderid invoice "
    "invoiceno invoiceid transaction transactionid transactionno playlist playlistid"
)
_USERS = words(
    "user userid customer customerid visitor visitorid reviewer reviewerid member memberid client "
    "clientid household householdid householdkey person personid"
)
_ITEMS = words(
    "item itemid product productid asin parentasin article articleid sku movie movieid track "
    "trackid song songid artist artistid book bookid isbn game gameid video videoid stockcode aid "
    "business businessid hotel hotelid news newsid recipe recipeid venue venueid location "
    "locationid reference"
)
_LISTS = ("items", "itemids", "products")  # names of columns with several items in a cell
# Plain names of columns by role, of several in a header the first in these lists.
_NAMES = {
    "session": _SESSIONS,
    "user": [*_USERS, *sorted(USERS - {*_SESSIONS, *_USERS})],
    "item": [*_ITEMS, *sorted(ITEMS - {*_ITEMS, *_LISTS})],
    "time": words(
        "timestamp time ts t datetime eventtime eventdate eventtimestamp date createdat unixtime "
        "unixreviewtime reviewtime invoicedate transactiontimestamp transactiontime "
        "transactiondate transactiondt purchasedate purchasetime orderdate ordertime ratedat "
        "playedat timeframe tdat"
    ),
    "order": words(
        "step ordernumber addtocartorder position eventnumber eventorder seqnum sequencenumber"
    ),
    "kind": words(
        "eventtype event action actiontype interaction interactiontype behavior behaviour "
        "behaviortype behaviourtype activity activitytype feedback feedbacktype reaction sentiment "
        "response status transactiontype ordertype orderstatus eventname type"
    ),
    "quantity": words("quantity qty units"),
    "shown": words("impressions impression shown shownitems displayed candidates exposures"),
}
ROLES_OF_EVENTS = tuple(_NAMES)
_OF_LISTS = {  # of columns that hold lists, beside the plurals of these
    "item": words(
        "history clickhistory purchasehistory itemhistory sequence itemsequence itemseq seq basket "
        "cart clicks views purchases interactions"
    ),
}
_NEVER_LISTS = ("user", "session")
_AGAINST = re.compile(  # kinds of events that say no interest, or take one back
    r".*(remov|delet|cancel|return|refund|dislik|unlik|unfollow|unsubscri|skip|downvot|thumbs?.?down"
    r"|reject|dismiss|hide|report|block|negativ|abandon|uninstall|not.?interest).*",
    re.IGNORECASE,
)
MOST_KINDS = 30  # values of a column that is taken for one of kinds by its name alone


@dataclass(frozen=True)
class EventColumns:
    """Places of columns in a header with these names; None for those it does not have.

    `user` is that of users beside sessions, `kind` that of what was done.
    """

    session: int
    item: int
    time: int | None
    user: int | None
    kind: int | None
    names: Sequence[str]


def event_roles(plain: Sequence[str], lists: Collection[int] = ()) -> dict[str, int]:
    """Places of columns by role.

    Args:
        plain: names as `column_names.plain_name` gives them.
        lists: places of columns that hold lists.
    """
    single = {name: k for k, name in reversed(list(enumerate(plain))) if k not in lists}
    several = {plain[k]: k for k in sorted(lists, reverse=True)}
    found = {}
    for role, known in _NAMES.items():
        places = [single[name] for name in known if name in single]
        if role not in _NEVER_LISTS:
            names = [x for name in known for x in (name, f"{name}s")] + _OF_LISTS.get(role, [])
            places += [several[name] for name in names if name in several]
        if places:
            found[role] = places[0]
    return found


def event_columns(names: Sequence[str], plain: Sequence[str]) -> EventColumns | None:
    """The columns of events; None where a header names none.

    Args:
        names: as written.
        plain: the same as `column_names.plain_name` gives them.
    """
    roles = event_roles(plain)
    session, user = roles.get("session"), roles.get("user")
    if session is None:
        session, user = user, None
    if session is None or "item" not in roles:
        return None
    time = roles.get("time", roles.get("order"))
    return EventColumns(session, roles["item"], time, user, roles.get("kind"), names)


def kinds_against(kinds: Mapping[str, int]) -> tuple[str, str] | None:
    """Kinds of events with their counts, and those that may say no interest; None without any.

    Args:
        kinds: number of events by kind.
    """
    against = [kind for kind in kinds if _AGAINST.fullmatch(kind)]
    if not against or len(kinds) > MOST_KINDS:
        return None
    counts = ", ".join(f"{show(kind)} {count:,}" for kind, count in kinds.items())
    return counts, " and ".join(map(show, against))

"""The article's figures, measured on other data."""

from typing import NamedTuple

CAPTION = (
    "Published figures (AUC-ROC, uniform negatives). They were measured by others on other data: "
    "Amazon Electronics and Books, with the authors' own splits. They show the order of magnitude "
    "and cannot be held against the numbers above."
)
HEADERS = ("data", "method", "AUC all", "AUC seen only", "minutes")


class PublishedRow(NamedTuple):
    """One published figure, as it was printed."""

    data: str
    method: str
    auc_all: str
    auc_seen: str = ""
    minutes: str = ""


_ELECTRONICS = "Electronics: 418,749 items, about 4 M pairs"
_BOOKS = "Books: 2 M items, 26.5 M pairs"
_EGES = "Amazon electronics, EGES paper (Alibaba)"

PUBLISHED = (
    PublishedRow(_ELECTRONICS, "matrix factorisation", ".7951", "", "45"),
    PublishedRow(_ELECTRONICS, "gensim word2vec", ".9082", ".9735", "2.58 (12 threads)"),
    PublishedRow(_ELECTRONICS, "PyTorch word2vec", ".9554", ".9855", "23.63"),
    PublishedRow(_ELECTRONICS, "matrix factorisation with bias on sequences", ".9320", "", "70.39"),
    PublishedRow(_ELECTRONICS, "PyTorch word2vec with side information", ".4 – .5"),
    PublishedRow(_EGES, "without side information", ".9327"),
    PublishedRow(_EGES, "with side information", ".9575"),
    PublishedRow(_BOOKS, "matrix factorisation", ".4996", "", "1353"),
    PublishedRow(_BOOKS, "gensim word2vec", ".9701", ".9892", "16.24"),
    PublishedRow(_BOOKS, "PyTorch word2vec", ".9775", "", "122.66"),
    PublishedRow(_BOOKS, "matrix factorisation on sequences", ".7196", "", "1393"),
)

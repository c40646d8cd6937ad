"""What models and the content baseline know of the items, from prepared data."""

import numpy as np
import torch
from scipy import sparse

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.data.batch import FieldCodes, Items
from recsys_lab.evaluation.content import ContentSimilarity
from recsys_lab.evaluation.scorers import Scorer

CONTENT_FIELDS = ("brand", "category")


def known_items(prepared: PreparedData) -> Items:
    """What a model may know of the items: training degrees, and side information on demand."""
    degrees = np.bincount(prepared.split.train.ids.ravel(), minlength=len(prepared.catalog))

    def field(name: str) -> FieldCodes:
        found = prepared.catalog.field(name)
        codes = torch.from_numpy(found.codes.astype(np.int64))
        return FieldCodes(torch.from_numpy(found.offsets), codes, found.cardinality)

    return Items(torch.from_numpy(degrees), field)


def content_baseline(catalog: ItemCatalog) -> dict[str, Scorer]:
    """The baseline over labels of brand and category, by its name; none without labels."""
    fields = [catalog.field(name) for name in CONTENT_FIELDS]
    labels = sparse.hstack(
        [
            sparse.csr_matrix(
                (np.ones(len(field.codes)), field.codes, field.offsets),
                shape=(len(catalog), field.cardinality),
            )
            for field in fields
        ],
        format="csr",
    )
    return {"content": ContentSimilarity(labels)} if labels.nnz else {}

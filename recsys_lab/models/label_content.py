"""What items' labels alone add to a score: the cosine of brand and categories, times a weight."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from recsys_lab.compute.label_columns import idf, item_columns, value_columns
from recsys_lab.models.encoders import SideInfoEncoder
from recsys_lab.models.scoring import ScoreVectors

_COLUMNS = 128
_NOT_LABELS = ("price", "title")


class LabelContent(nn.Module):
    """Columns of the vectors of items that add weight * cosine to their scores.

    The cosine is that of the content baseline (`evaluation.content`), near to it
    (`compute.label_columns`), of the values that training meets. Nothing of it is trained or kept
    with a checkpoint: it is a function of the catalogue.

    Args:
        encoder: it tells the values of items.
        fields: names of its fields; price and title are no labels.
        weight: of the cosine, above 0.
        count: of columns, a multiple of 64.
    """

    columns: Tensor  # (N, C)

    def __init__(
        self, encoder: SideInfoEncoder, fields: Sequence[str], weight: float, count: int = _COLUMNS
    ) -> None:
        super().__init__()
        self.weight, self.count = float(weight), count
        is_label = np.array([False] + [name not in _NOT_LABELS for name in fields])
        if not is_label.any():
            raise ValueError(
                f"content_weight={weight} needs labels, and fields=[{','.join(fields)}] are none: "
                "give brand or category, or content_weight=0"
            )
        num_items = len(encoder.present)
        counted = is_label[encoder.parts.numpy()]
        owners = torch.repeat_interleave(encoder.starts.diff()).numpy()[counted]
        values = encoder.rows.numpy()[counted] - num_items
        self._firsts = (encoder.field_rows - num_items).tolist()
        num_owners = np.bincount(values, minlength=self._firsts[-1])
        self._idf = np.where(num_owners > 0, idf(num_owners, num_items), 0.0)  # (V,)
        columns = item_columns(owners, values, value_columns(self._idf, count), num_items)
        columns = columns * np.float32(self.weight**0.5)
        self.register_buffer("columns", torch.from_numpy(columns), persistent=False)

    def add_to(self, vectors: ScoreVectors, items: Tensor | None = None) -> ScoreVectors:
        """The vectors of items (n,), all if left out, with these columns behind their own."""
        columns = self.columns if items is None else self.columns[items]
        queries = torch.cat([vectors.queries, columns], dim=1)
        if vectors.keys is vectors.queries:
            return vectors._replace(queries=queries, keys=queries)
        return vectors._replace(queries=queries, keys=torch.cat([vectors.keys, columns], dim=1))

    def of_values(self) -> list[Tensor]:
        """Of each field, the columns (V, C) of its values without the weight; 0 if no labels."""
        columns = torch.from_numpy(value_columns(self._idf, self.count))
        return [columns[low:high] for low, high in pairwise(self._firsts)]


def label_content(
    encoder: SideInfoEncoder, fields: Sequence[str], weight: float
) -> LabelContent | None:
    """The columns of the labels among the fields of an encoder; None for the weight 0."""
    return LabelContent(encoder, fields, weight) if weight else None

"""Encoders turn item ids into vectors."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Dimension
from recsys_lab.data.batch import FieldCodes
from recsys_lab.models.distinct import find_distinct, list_entries

Pooling = Literal["mean", "attention"]


class Encoder(Protocol):
    """Turns item ids into vectors. A module that names its sparse parameters in `sparse_tables`."""

    def __call__(self, items: Tensor) -> Tensor:
        """Vectors of items of any shape: (..., D)."""
        ...

    def can_encode(self, seen: Tensor) -> Tensor:
        """Mask (N,) of the items with a trained vector, given those seen in training."""
        ...

    def item_vectors(self, items: Tensor | None = None) -> Tensor:
        """The vectors of items (n,), (n, D), without gradients; of all if left out."""
        ...


def _uniform_table(num_rows: int, embedding_dim: int, init_scale: float) -> nn.Parameter:
    """Rows (num_rows, D), uniform in +- init_scale / D."""
    bound = init_scale / embedding_dim
    return nn.Parameter(torch.empty(num_rows, embedding_dim).uniform_(-bound, bound))


class IdEncoder(nn.Module):
    """One free vector for each item, in a table.

    Args:
        num_items: N.
        embedding_dim: D.
        init_scale: vectors start uniform in +- init_scale / D; 0 starts at zero, as word2vec does
            with its context vectors.
        sparse: whether the gradient is; where a batch holds most items, a dense one is faster.
    """

    @checked
    def __init__(
        self,
        num_items: int,
        embedding_dim: Dimension,
        init_scale: float = 0.5,
        sparse: bool = True,
    ) -> None:
        super().__init__()
        self.sparse = sparse
        self.table = _uniform_table(num_items, embedding_dim, init_scale)

    def forward(self, items: Tensor) -> Tensor:
        """Vectors of items of any shape: (..., D)."""
        return F.embedding(items, self.table, sparse=self.sparse)

    @property
    def sparse_tables(self) -> tuple[str, ...]:
        """Names of the parameters whose gradient is sparse."""
        return ("table",) if self.sparse else ()

    def pool(self, items: Tensor, weights: Tensor) -> Tensor:
        """Weighted sums (B, D) of the vectors of items (B, L); -1 is no item."""
        rows = items.clamp_min(0)
        return F.embedding_bag(
            rows, self.table, mode="sum", per_sample_weights=weights, sparse=self.sparse
        )

    def can_encode(self, seen: Tensor) -> Tensor:
        """Mask (N,) of the items with a trained vector, given those seen in training."""
        return seen

    @torch.no_grad()
    def item_vectors(self, items: Tensor | None = None) -> Tensor:
        """The vectors of items (n,), (n, D); of all if left out, and then not a copy."""
        return self.table.detach() if items is None else self(items)


class SideInfoEncoder(nn.Module):
    """An item's own vector pooled with those of its values: brand, categories, price.

    Wang et al., Billion-scale commodity embedding (EGES, KDD 2018). A value has one vector, shared
    by all items that have it. Several values of a field are averaged within the field. Pooled are
    the parts that an item has, and no others: a missing field contributes nothing, and neither does
    a vector that training never meets, which is that of a cold item itself and of a value that only
    cold items have. So a cold item gets its vector from its side information alone, in training, in
    scoring and in export alike.

    Args:
        trained: (N,) bool, items that occur in training.
        fields: F fields of side information.
        embedding_dim: D.
        pooling: "mean" gives equal weights to the parts (GES, equation 5); "attention" the softmax
            of weights learned for each item, which start equal (EGES, equation 6). Those of a cold
            item are never learned.
        init_scale: see `IdEncoder`.
    """

    sparse_tables = ("table", "attention")

    starts: Tensor
    rows: Tensor
    parts: Tensor
    shares: Tensor
    present: Tensor
    field_rows: Tensor  # (F + 1,) first row of the values of each field, and the end

    @checked
    def __init__(
        self,
        trained: Tensor,
        fields: Sequence[FieldCodes],
        embedding_dim: Dimension,
        pooling: Pooling,
        init_scale: float = 0.5,
    ) -> None:
        super().__init__()
        num_items = len(trained)
        num_rows = num_items + sum(field.cardinality for field in fields)
        self.table = _uniform_table(num_rows, embedding_dim, init_scale)  # ids, then values
        sizes = torch.tensor([num_items] + [field.cardinality for field in fields])
        self.attention = (
            nn.Parameter(torch.zeros(num_items, 1 + len(fields)))
            if pooling == "attention"
            else None
        )
        owners, rows, parts, shares = _list_parts(trained, fields)
        order = torch.argsort(owners, stable=True)
        present = torch.zeros(num_items, 1 + len(fields), dtype=torch.bool)
        present[owners, parts] = True
        counts = torch.bincount(owners, minlength=num_items)
        starts = _sums(counts)
        self._most_values = _sums(counts.sort(descending=True).values)  # of so many items; on CPU
        tensors = {"starts": starts, "rows": rows[order], "parts": parts[order]}
        tensors |= {"shares": shares[order], "present": present, "field_rows": sizes.cumsum(0)}
        for name, tensor in tensors.items():  # facts of the catalogue, not weights of the model
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, items: Tensor) -> Tensor:
        """Vectors of items of any shape: (..., D); zero for an item without any part."""
        return self.pool(items, padded=items.device.type != "cpu")

    def pool(self, items: Tensor, *, padded: bool) -> Tensor:
        """`forward`, which takes every item and value once, or pads their lists (`distinct`)."""
        distinct, place, is_real = find_distinct(items, padded=padded)  # (u,), (...), (u,)
        low = self.starts[distinct]
        counts = (self.starts[distinct + 1] - low) * is_real
        starts = counts.cumsum(0) - counts
        most = int(self._most_values[min(len(distinct), len(self.present))]) if padded else None
        owner, numbers, is_real = list_entries(counts, most)  # (v,)
        entries = (numbers + (low - starts)[owner]).clamp_max(len(self.rows) - 1)
        part_weights = self.part_weights(distinct)[owner, self.parts[entries]]
        vectors = F.embedding_bag(
            self.rows[entries],
            self.table,
            starts,
            mode="sum",
            sparse=True,
            per_sample_weights=part_weights * (self.shares[entries] * is_real).to(self.table.dtype),
        )  # (u, D)
        return F.embedding(place, vectors)

    def part_weights(self, items: Tensor) -> Tensor:
        """Weights (n, 1 + F) of the own vector and of each field; they sum to one over the parts.

        All are 0 where an item has no part.
        """
        present = self.present[items]
        if self.attention is None:
            weights = present.to(self.table.dtype)
            return weights / weights.sum(-1, keepdim=True).clamp_min(1)
        logits = F.embedding(items, self.attention, sparse=True)
        lowest = torch.finfo(logits.dtype).min
        return torch.softmax(logits.masked_fill(~present, lowest), dim=-1) * present

    def can_encode(self, seen: Tensor) -> Tensor:
        """Mask (N,) of the items that have a trained part, be it their own vector or a value."""
        return self.present.any(-1)

    @torch.no_grad()
    def value_vectors(self) -> list[tuple[Tensor, Tensor]]:
        """Of each field, the mask (V,) of the values that training meets, and vectors (V, D)."""
        used = torch.zeros(len(self.table), dtype=torch.bool, device=self.table.device)
        used[self.rows] = True
        ends = self.field_rows.tolist()
        return [
            (used[low:high], self.table.detach()[low:high] * used[low:high, None])
            for low, high in pairwise(ends)
        ]

    @torch.no_grad()
    def item_vectors(self, items: Tensor | None = None) -> Tensor:
        """The vectors of items (n,), (n, D); of all if left out. By the aggregation of training."""
        if items is None:
            items = torch.arange(len(self.present), device=self.table.device)
        return self(items)


def _sums(counts: Tensor) -> Tensor:
    """Sums of the first 0, 1, .., N counts: (N + 1,)."""
    return torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)])


def _list_parts(
    trained: Tensor, fields: Sequence[FieldCodes]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The parts of all items whose vectors are trained: item, row, part, and share of the part.

    Part 0 is the item's own vector, part f the f-th field. Each (V,).
    """
    num_items = len(trained)
    own = torch.nonzero(trained)[:, 0]
    found = [(own, own, torch.zeros_like(own), torch.ones(len(own)))]
    first_row = num_items
    for part, field in enumerate(fields, start=1):
        owners = torch.repeat_interleave(field.offsets.diff())  # item of each code
        occurs = torch.zeros(field.cardinality, dtype=torch.bool)
        occurs[field.codes[trained[owners]]] = True
        kept = occurs[field.codes]
        owners, codes = owners[kept], field.codes[kept]
        shares = 1.0 / torch.bincount(owners, minlength=num_items)[owners]
        found.append((owners, first_row + codes, torch.full_like(owners, part), shares))
        first_row += field.cardinality
    owners, rows, parts, shares = (torch.cat(columns) for columns in zip(*found, strict=True))
    return owners, rows, parts, shares

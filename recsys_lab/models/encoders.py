"""Encoders turn item ids into vectors."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Dimension, Share
from recsys_lab.data.batch import FieldCodes
from recsys_lab.models.distinct import find_distinct, list_entries
from recsys_lab.models.scoring import FieldVectors, Score, SideInfoVectors

Pooling = Literal["mean", "attention"]
Bag = Literal["sum"]
_BAG_OF_PADDING = 32  # entries


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
        stand_ins: (N, n), trained items whose mean is the vector of an item without training pairs,
            -1 for none (`cold_items.stand_ins`). None: such an item has no vector.
        sparse: whether the gradient is; where a batch holds most items, a dense one is faster.
    """

    stand_ins: Tensor | None

    @checked
    def __init__(
        self,
        num_items: int,
        embedding_dim: Dimension,
        init_scale: float = 0.5,
        stand_ins: Tensor | None = None,
        sparse: bool = True,
    ) -> None:
        super().__init__()
        self.sparse = sparse
        self.table = _uniform_table(num_items, embedding_dim, init_scale)
        self.register_buffer("stand_ins", stand_ins, persistent=False)

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
        return seen if self.stand_ins is None else seen | (self.stand_ins >= 0).any(1)

    @torch.no_grad()
    def item_vectors(self, items: Tensor | None = None) -> Tensor:
        """The vectors of items (n,), (n, D); of all if left out, and then not a copy.

        With stand-ins they are always copies.
        """
        if self.stand_ins is None:
            return self.table.detach() if items is None else self(items)
        others = self.stand_ins if items is None else self.stand_ins[items]
        vectors = self.table.detach().clone() if items is None else self(items)
        cold = (others >= 0).any(1)
        others = others[cold]
        counts = (others >= 0).to(vectors.dtype)[..., None]  # (c, n, 1)
        vectors[cold] = (self.table[others.clamp_min(0)] * counts).sum(1) / counts.sum(1)
        return vectors


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
            item are never learned. "sum" gives equal weights to all features instead, the own
            vector and every value: their sum times size ** -size_exponent, where size is their
            number (StarSpace, Wu et al., AAAI 2018, with p = .5).
        init_scale: see `IdEncoder`.
        size_exponent: of "sum".
        own_vectors: whether an item with values has a vector of its own as well. Without it a
            trained item is what its values say, as a cold one is.
    """

    sparse_tables = ("table", "attention")

    starts: Tensor
    rows: Tensor
    parts: Tensor
    shares: Tensor
    present: Tensor
    sum_weights: Tensor | None
    field_rows: Tensor  # (F + 1,) first row of the values of each field, and the end

    @checked
    def __init__(
        self,
        trained: Tensor,
        fields: Sequence[FieldCodes],
        embedding_dim: Dimension,
        pooling: Pooling | Bag,
        init_scale: float = 0.5,
        size_exponent: Share = 0.5,
        own_vectors: bool = True,
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
        owners, rows, parts, shares = _list_parts(trained, fields, own_vectors)
        order = torch.argsort(owners, stable=True)
        num_parts = 1 + len(fields)
        in_parts = torch.bincount(owners * num_parts + parts, minlength=num_items * num_parts)
        in_parts = in_parts.view(num_items, num_parts)  # values of each item in each part
        counts = in_parts.sum(-1)
        self.size_exponent = float(size_exponent) if pooling == "sum" else None
        sum_weights = None
        if pooling == "sum":
            sum_weights = in_parts * counts.clamp_min(1)[:, None].float() ** -size_exponent
        starts = _sums(counts)
        self.most_values = _sums(counts.sort(descending=True).values)  # of so many items; on CPU
        tensors = {"starts": starts, "rows": rows[order], "parts": parts[order]}
        tensors |= {"shares": shares[order], "present": in_parts > 0, "field_rows": sizes.cumsum(0)}
        self.register_buffer("sum_weights", sum_weights, persistent=False)
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
        most = int(self.most_values[min(len(distinct), len(self.present))]) if padded else None
        owner, numbers, is_real = list_entries(counts, most)  # (v,)
        entries = (numbers + (low - starts)[owner]).clamp_max(len(self.rows) - 1)
        part_weights = self.part_weights(distinct)[owner, self.parts[entries]]
        vectors = F.embedding_bag(
            self.rows[entries],
            self.table,
            starts if most is None else _with_bags_of_padding(starts, counts, most),
            mode="sum",
            sparse=True,
            per_sample_weights=part_weights * (self.shares[entries] * is_real).to(self.table.dtype),
        )  # (u, D)
        return F.embedding(place, vectors)

    def part_weights(self, items: Tensor) -> Tensor:
        """Weights (n, 1 + F) of the own vector and of the mean vector of each field.

        All are 0 where an item has no part; else they sum to one, or to a power of the number of
        features where these are summed.
        """
        if self.sum_weights is not None:
            return self.sum_weights[items].to(self.table.dtype)
        present = self.present[items]
        if self.attention is None:
            weights = present.to(self.table.dtype)
            return weights / weights.sum(-1, keepdim=True).clamp_min(1)
        logits = F.embedding(items, self.attention, sparse=True)
        lowest = torch.finfo(logits.dtype).min
        return torch.softmax(logits.masked_fill(~present, lowest), dim=-1) * present

    @torch.no_grad()
    def entry_weights(self) -> Tensor:
        """(V,) what each of `rows` counts in the vector of its item."""
        owners = torch.repeat_interleave(self.starts.diff())
        every = torch.arange(len(self.present), device=self.rows.device)
        return (self.part_weights(every)[owners, self.parts] * self.shares).to(self.table.dtype)

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


@torch.no_grad()
def side_info_vectors(
    centers: Encoder, contexts: Encoder, names: Sequence[str], score: Score
) -> SideInfoVectors | None:
    """The parts of the item vectors; None for encoders without side information.

    Args:
        centers: encoder of centers.
        contexts: encoder of contexts, which may be the same.
        names: of the encoders' fields.
        score: how vectors are compared.
    """
    if not (isinstance(centers, SideInfoEncoder) and isinstance(contexts, SideInfoEncoder)):
        return None
    every = torch.arange(len(centers.present), device=centers.table.device)
    weights = centers.part_weights(every), contexts.part_weights(every)
    if score == "cosine":  # vectors of length one are scored
        lengths = centers.item_vectors().norm(dim=1, keepdim=True)
        weights = weights[0] / lengths.clamp_min(1e-12), weights[1]
    used_in_contexts = contexts.value_vectors()
    fields = []
    for number, (trained, vectors) in enumerate(centers.value_vectors()):
        other = used_in_contexts[number][1] if used_in_contexts else torch.zeros_like(vectors)
        fields.append(FieldVectors(names[number], trained, vectors, other))
    missing = weights[0].shape[1] - weights[1].shape[1]  # contexts of item ids alone
    padded = F.pad(weights[1], (0, missing))
    return SideInfoVectors(fields, weights[0], padded, centers.size_exponent)


def _with_bags_of_padding(starts: Tensor, counts: Tensor, length: int) -> Tensor:
    """The starts of bags (u,) and of further small ones for what follows them, up to a length.

    A GPU goes through a bag one entry after the other, so that one of all padding takes long.
    """
    end = starts[-1:] + counts[-1:]
    more = torch.arange(0, length + 1, _BAG_OF_PADDING, device=starts.device)
    return torch.cat([starts, (end + more).clamp_max(length)])


def _sums(counts: Tensor) -> Tensor:
    """Sums of the first 0, 1, .., N counts: (N + 1,)."""
    return torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)])


def _list_parts(
    trained: Tensor, fields: Sequence[FieldCodes], own_vectors: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The parts of all items whose vectors are trained: item, row, part, and share of the part.

    Part 0 is the item's own vector, part f the f-th field. Each (V,).
    """
    num_items = len(trained)
    has_own, found, first_row = trained.clone(), [], num_items
    for part, field in enumerate(fields, start=1):
        owners = torch.repeat_interleave(field.offsets.diff())  # item of each code
        occurs = torch.zeros(field.cardinality, dtype=torch.bool)
        occurs[field.codes[trained[owners]]] = True
        kept = occurs[field.codes]
        owners, codes = owners[kept], field.codes[kept]
        shares = 1.0 / torch.bincount(owners, minlength=num_items)[owners]
        found.append((owners, first_row + codes, torch.full_like(owners, part), shares))
        first_row += field.cardinality
        if not own_vectors:
            has_own[owners] = False
    own = torch.nonzero(has_own)[:, 0]
    found.insert(0, (own, own, torch.zeros_like(own), torch.ones(len(own))))
    owners, rows, parts, shares = (torch.cat(columns) for columns in zip(*found, strict=True))
    return owners, rows, parts, shares

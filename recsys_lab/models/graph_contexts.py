"""Context vectors of items for several graphs, such as one of purchases and one of views."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recsys_lab.compute.counts import count_of
from recsys_lab.models.encoders import IdEncoder


class GraphContexts(IdEncoder):
    """One table of context vectors for each graph; an item's vector is their weighted sum.

    With centers c that the graphs share, and contexts k of graph g, a score is then

        sum over g of weight_g * (c_i . k_gj + c_j . k_gi) / 2

    A batch is of one graph, whose table `WindowBatch.first_context` tells.

    Args:
        num_items: N.
        embedding_dim: D.
        weights: of the graphs.
    """

    def __init__(self, num_items: int, embedding_dim: int, weights: Sequence[float]) -> None:
        super().__init__(num_items * len(weights), embedding_dim, init_scale=0.0)
        self.num_items = num_items
        self.weights = tuple(weights)

    @torch.no_grad()
    def item_vectors(self, items: Tensor | None = None) -> Tensor:
        """The sums (n, D) of items (n,) over the graphs; of all if left out. Always a copy."""
        tables = self.table.detach().view(len(self.weights), self.num_items, -1)
        rows = tables if items is None else tables[:, items]
        return torch.einsum("g,gnd->nd", rows.new_tensor(self.weights), rows)


def check_graphs(num_graphs: int, net: nn.Module) -> None:
    """Refuse data of another number of graphs than a net has context vectors for.

    Raises:
        ValueError: naming both.
    """
    contexts = getattr(net, "contexts", None)
    tables = len(contexts.weights) if isinstance(contexts, GraphContexts) else 1
    if num_graphs == tables:
        return
    remedy = (
        "give model=skipgram a weight in graph_weights for each group of data.relations"
        if num_graphs > 1
        else "use data=relations with a group for each weight, or graph_weights=null"
    )
    raise ValueError(
        f"the data has {count_of(num_graphs, 'graph')}, and the model contexts for {tables}: "
        f"{remedy}"
    )

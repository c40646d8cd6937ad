"""Whether the batches of a data module train what a net has."""

import torch
from pytorch_lightning import LightningDataModule
from torch import nn

from recsys_lab.catalog.nodes import Nodes
from recsys_lab.models.graph_contexts import check_graphs


def check_trained(module: LightningDataModule, nodes: Nodes, net: nn.Module) -> None:
    """Refuse data and a net that do not go together.

    They have another number of graphs, or nodes neither stand in a batch nor have a vector by their
    neighbours.

    Raises:
        ValueError: naming the numbers, or the groups of nodes.
    """
    check_graphs(getattr(module, "num_graphs", 1), net)
    met = nodes.trained.copy()
    met[nodes.num_items :] = False
    others = module.frequencies[nodes.num_items :] > 0  # type: ignore[attr-defined]
    met[nodes.num_items : nodes.num_items + len(others)] = others
    scorable = net.can_score(torch.from_numpy(met))  # type: ignore[operator]
    if names := [x.name for x in nodes.groups if not scorable[x.rows].any()]:
        raise ValueError(
            f"nodes: this data trains no vectors of {', '.join(names)}: data/source=events with "
            "data=sequences trains users and types, data=interactions users and labels; use one of "
            "them, and leave the nodes of the other out"
        )

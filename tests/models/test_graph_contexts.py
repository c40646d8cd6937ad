import numpy as np
import pytest
import torch

from recsys_lab.data.batch import WindowBatch
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.graph_contexts import GraphContexts, check_graphs
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.models.updates import choose_updater
from tests.models.model_cases import NUM_ITEMS, window_batch

DIM, RATE = 16, 0.3
SHARES = np.full(NUM_ITEMS, 1 / NUM_ITEMS)


def net_of(contexts: IdEncoder, kernel: str) -> SkipGram:
    """A skip-gram whose tables start alike in every call, as far as they are as long."""
    torch.manual_seed(1)
    centers = IdEncoder(NUM_ITEMS, DIM, init_scale=5.0)
    rows = torch.rand(len(contexts.table), DIM, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        contexts.table.copy_(rows - 0.5)
    popularity = torch.zeros(NUM_ITEMS)
    return SkipGram(centers, contexts, "center_context", popularity, l2=0.01, kernel=kernel)  # type: ignore[arg-type]


def graphs_net(kernel: str) -> SkipGram:
    return net_of(GraphContexts(NUM_ITEMS, DIM, [1.0, 0.5]), kernel)


def batch_of(graph: int) -> WindowBatch:
    batch = window_batch(4, 3, 5, 0, seed=graph)
    floats = {"column_weights", "distance_weights"}
    batch = batch._replace(**{name: getattr(batch, name).float() for name in floats})
    return batch._replace(first_context=graph * NUM_ITEMS)


def train(net: SkipGram, batches: list[WindowBatch], optimizer: str = "adagrad") -> str:
    """Train on batches; returns the name of the kernel."""
    kinds = {"adagrad": RowWiseAdagrad, "adam": torch.optim.SparseAdam}
    steps = kinds[optimizer](list(net.parameters()), lr=RATE)

    def set_gradients(loss: torch.Tensor) -> None:
        steps.zero_grad(set_to_none=True)
        loss.backward()

    updater = choose_updater(net, steps, SHARES, set_gradients)
    for batch in batches:
        updater.update(batch, RATE)
        steps.step()
    updater.close()
    return updater.kernel


def test_an_item_is_the_weighted_sum_over_the_graphs() -> None:
    contexts = GraphContexts(2, 2, [1.0, 0.5])
    with torch.no_grad():
        contexts.table.copy_(torch.tensor([[1.0, 2], [3, 4], [10, 20], [30, 40]]))
    assert contexts.item_vectors().tolist() == [[6, 12], [18, 24]]
    assert contexts.item_vectors(torch.tensor([1])).tolist() == [[18, 24]]


@pytest.mark.parametrize("graph", [0, 1])
def test_kernels_train_the_contexts_of_the_graph_of_the_batch(graph: int) -> None:
    net = graphs_net("fused")
    before = net.contexts.table.detach().view(2, NUM_ITEMS, DIM).clone()  # type: ignore[attr-defined]
    plain = net_of(IdEncoder(NUM_ITEMS, DIM, init_scale=0.0), "fused")
    with torch.no_grad():
        plain.contexts.table.copy_(before[graph])  # type: ignore[attr-defined]
    assert train(net, [batch_of(graph)]) == "fused"
    train(plain, [batch_of(graph)._replace(first_context=0)])
    after = net.contexts.table.detach().view(2, NUM_ITEMS, DIM)  # type: ignore[attr-defined]
    torch.testing.assert_close(after[1 - graph], before[1 - graph], rtol=0, atol=0)
    torch.testing.assert_close(after[graph], plain.contexts.table, rtol=0, atol=0)  # type: ignore[attr-defined]
    torch.testing.assert_close(net.centers.table, plain.centers.table, rtol=0, atol=0)  # type: ignore[attr-defined]


def test_the_loss_by_kernels_is_that_of_autograd() -> None:
    batches = [batch_of(0), batch_of(1), batch_of(0)]
    one, other = graphs_net("auto"), graphs_net("autograd")
    assert train(one, batches, "adam") == "fused_loss"
    assert train(other, batches, "adam") == "autograd"
    for name, table in other.state_dict().items():
        torch.testing.assert_close(one.state_dict()[name], table, rtol=1e-3, atol=1e-4)


def test_other_numbers_of_graphs_are_refused() -> None:
    check_graphs(2, graphs_net("auto"))
    plain = net_of(IdEncoder(NUM_ITEMS, DIM), "auto")
    check_graphs(1, plain)
    with pytest.raises(ValueError, match="the data has 2 graphs, and the model contexts for 1"):
        check_graphs(2, plain)
    words = "the data has 1 graph, and the model contexts for 2: use data=relations with a group"
    with pytest.raises(ValueError, match=words):
        check_graphs(1, graphs_net("auto"))

import pytest
import torch
from torch import Tensor

from recsys_lab.models.builders import matrix_factorization
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.mf import MatrixFactorization
from recsys_lab.models.optimizers import RowWiseAdagrad, build_optimizers
from tests.models import model_cases as cases

DIM = 5


def network(
    biased: bool, loss: str = "logistic", l2: float = 0.0, num_items: int = cases.NUM_ITEMS
):
    torch.manual_seed(0)
    encoder = IdEncoder(num_items, DIM, init_scale=4.0)
    biases = IdEncoder(num_items, 1, init_scale=1.0) if biased else None
    net = MatrixFactorization(encoder, biases, loss=loss, l2=l2, popularity=torch.zeros(num_items))
    if net.global_bias is not None:
        net.global_bias.data.fill_(0.3)
    return net.double()


def brute_force(net: MatrixFactorization, batch, parameters: list[Tensor]) -> Tensor:
    """The loss by a double loop over the cells of the batch."""
    vectors = parameters[0]
    total = torch.zeros((), dtype=torch.float64)
    cell_loss = cases.logistic if net.loss_name == "logistic" else cases.squared
    for i, j, positive, negative in cases.cells(batch):
        if i == j:
            continue
        score = vectors[i] @ vectors[j]
        size = vectors[i] @ vectors[i] + vectors[j] @ vectors[j]
        if net.biases is not None:
            score = score + parameters[1][i, 0] + parameters[1][j, 0] + parameters[2][0]
            size = size + parameters[1][i, 0] ** 2 + parameters[1][j, 0] ** 2
        total = total + cell_loss(score, positive, negative)
        total = total + net.l2 * (positive + negative) * size
    return total


@pytest.mark.parametrize("loss", ["logistic", "squared"])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("name", cases.BATCHES)
def test_loss_and_gradient_match_a_double_loop(name: str, biased: bool, loss: str) -> None:
    net = network(biased, loss, l2=0.07)
    batch = cases.BATCHES[name]
    trained = [net.encoder.table]
    if net.biases is not None:
        trained += [net.biases.table, net.global_bias]
    copies = [parameter.detach().clone().requires_grad_() for parameter in trained]
    expected = brute_force(net, batch, copies)
    expected.backward()
    total, weight = net.loss(batch)
    total.backward()
    torch.testing.assert_close(total, expected)
    positives = [p for i, j, p, _ in cases.cells(batch) if i != j]
    assert float(weight) == pytest.approx(sum(positives))
    for parameter, copy in zip(trained, copies, strict=True):
        grad = parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad
        torch.testing.assert_close(grad, copy.grad)


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_unused_items_change_no_trained_row(loss: str) -> None:
    """The article regularised the whole table, and learned nothing where it was large."""
    tables = []
    for num_items in (cases.NUM_ITEMS, 10 * cases.NUM_ITEMS):
        net = network(True, loss, l2=0.1, num_items=num_items)
        with torch.no_grad():
            rows = torch.linspace(-1, 1, cases.NUM_ITEMS * DIM).view(-1, DIM)
            net.encoder.table[: cases.NUM_ITEMS] = rows
            net.biases.table.fill_(0.1)
        untouched = net.encoder.table[cases.NUM_ITEMS :].detach().clone()
        optimizer = RowWiseAdagrad(net.parameters(), lr=0.1)
        for seed in range(20):
            for batch in (cases.pair_batch(8, 2, seed), cases.window_batch(2, 3, 4, 0, seed)):
                optimizer.zero_grad()
                net.loss(batch)[0].backward()
                optimizer.step()
        assert torch.equal(net.encoder.table[cases.NUM_ITEMS :], untouched)
        tables.append(net.encoder.table[: cases.NUM_ITEMS].detach())
    assert torch.equal(tables[0], tables[1])


def test_only_rows_of_the_batch_have_a_gradient() -> None:
    net = network(True, l2=0.5)
    batch = cases.pair_batch(1, 1)
    net.loss(batch)[0].backward()
    rows = {int(batch.centers), int(batch.contexts), int(batch.negatives)}
    for parameter in (net.encoder.table, net.biases.table):
        assert set(parameter.grad.coalesce().indices()[0].tolist()) <= rows


def test_scores_are_inner_products_with_biases_and_popularity() -> None:
    net = network(True)
    net.popularity += torch.arange(cases.NUM_ITEMS)
    items = torch.tensor([3, 7, 1])
    vectors = net.score_vectors(items)
    first, third = torch.tensor([0]), torch.tensor([2])
    scores = cases.pair_scores(vectors, first, third)
    u, b = net.encoder.table, net.biases.table[:, 0]
    expected = u[3] @ u[1] + b[3] + b[1] + net.global_bias + 3 + 1
    torch.testing.assert_close(scores, expected.float())
    torch.testing.assert_close(cases.pair_scores(vectors, third, first), scores)


def test_first_predictions_are_not_saturated() -> None:
    items = cases.items_with({}, [1] * 2000)
    net = matrix_factorization(
        items,
        embedding_dim=128,
        biases=False,
        loss="logistic",
        l2=0,
        popularity_weight=0,
        kernel="auto",
    )
    scores = net.encoder.table @ net.encoder.table.T
    scores = scores[~torch.eye(2000, dtype=torch.bool)]
    assert scores.abs().max() < 0.1


def test_a_probability_keeps_the_order_and_the_range() -> None:
    scores = torch.tensor([-3.0, 0.2, 0.7, 4.0])
    for loss in ("logistic", "squared"):
        values = network(False, loss).probability(scores)
        assert (values.diff() >= 0).all()
        assert ((values >= 0) & (values <= 1)).all()


def test_sparse_adam_leaves_the_dense_bias_to_adam() -> None:
    net = network(True).float()
    optimizers = build_optimizers(lambda p: torch.optim.SparseAdam(p, lr=0.02), net)
    assert [type(optimizer).__name__ for optimizer in optimizers] == ["SparseAdam", "Adam"]
    held = [
        {id(p) for group in optimizer.param_groups for p in group["params"]}
        for optimizer in optimizers
    ]
    assert held[1] == {id(net.global_bias)}
    assert held[0] == {id(net.encoder.table), id(net.biases.table)}
    assert optimizers[1].defaults["lr"] == 0.02
    assert len(build_optimizers(lambda p: torch.optim.SGD(p, lr=0.1), net)) == 1
    assert len(build_optimizers(torch.optim.SparseAdam, network(False))) == 1


@pytest.mark.parametrize(("key", "value"), [("loss", "hinge"), ("l2", -1.0)])
def test_impossible_settings_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{key} must be"):
        MatrixFactorization(
            IdEncoder(3, 2),
            None,
            **{"loss": "logistic", "l2": 0.0, key: value},
            popularity=torch.zeros(3),
        )

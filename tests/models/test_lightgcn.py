import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.lightgcn import LightGCN
from recsys_lab.models.skipgram import SkipGram
from tests.models import model_cases as cases


def random_weights(num_items: int, seed: int) -> np.ndarray:
    """A symmetric matrix of weights; some items have no pair."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((num_items, num_items)) * (rng.random((num_items,) * 2) < 0.3), 1)
    return upper + upper.T


def encoder(weights: np.ndarray, layer_weights: list[float], dim: int = 3) -> LightGCN:
    torch.manual_seed(0)
    inputs = IdEncoder(len(weights), dim, init_scale=4.0)
    return LightGCN(inputs, cases.neighbours_of(weights), layer_weights).double()


def test_three_items_by_hand() -> None:
    """0 - 1 of weight 1, 1 - 2 of weight 3: the sums of the weights are 1, 4 and 3."""
    made = encoder(np.array([[0, 1, 0], [1, 0, 3], [0, 3, 0.0]]), [1.0, 2.0], dim=1)
    made.inputs.table.data = torch.tensor([[1.0], [10.0], [100.0]]).double()
    near, far = 1 / 2, 3 / 12**0.5
    expected = [1 + 2 * near * 10, 10 + 2 * (near * 1 + far * 100), 100 + 2 * far * 10]
    items = torch.tensor([[2, 0], [1, 2]])
    torch.testing.assert_close(made(items)[..., 0], torch.tensor(expected).double()[items])


@given(
    st.integers(1, 12),
    st.integers(0, 1000),
    st.lists(st.floats(-2, 2), min_size=1, max_size=4).filter(any),
)
@settings(max_examples=30, deadline=None)
def test_against_dense_powers(num_items: int, seed: int, layer_weights: list[float]) -> None:
    weights = random_weights(num_items, seed)
    made = encoder(weights, layer_weights)
    sums = weights.sum(0)
    roots = np.divide(1, np.sqrt(sums), out=np.zeros(num_items), where=sums > 0)
    matrix = weights * roots * roots[:, None]
    own = made.inputs.table.detach().numpy()
    expected = sum(w * np.linalg.matrix_power(matrix, k) @ own for k, w in enumerate(layer_weights))
    found = made.item_vectors()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)  # weights are float32
    some = torch.arange(num_items).flip(0)
    assert torch.equal(made.item_vectors(some), found[some])


def test_gradient() -> None:
    made = encoder(random_weights(6, 1), [0.5, 1.0, -2.0])
    items = torch.tensor([0, 3, 3, 5])

    def vectors(table: torch.Tensor) -> torch.Tensor:
        made.inputs.forward = lambda ids: table[ids]  # IdEncoder has a sparse gradient
        return made(items)

    table = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(vectors, (table,))
    assert torch.autograd.gradgradcheck(vectors, (table,))


@pytest.mark.parametrize("loss", ["logistic", "bpr", "margin"])
def test_one_encoder_in_both_roles_is_run_once(loss: str) -> None:
    """Loss and gradient are those of two encoders with the same weights, added up."""
    weights = random_weights(cases.NUM_ITEMS, 2)
    one, left, right = (encoder(weights, [1.0, 0.5]) for _ in range(3))
    batch = cases.window_batch(3, 2, 4, 2)
    zeros = torch.zeros(cases.NUM_ITEMS)
    tied = SkipGram(one, one, "dot", zeros, loss=loss)
    free = SkipGram(left, right, "dot", zeros, loss=loss)
    runs = []
    one.register_forward_hook(lambda *_: runs.append(1))
    totals = [net.loss(batch)[0] for net in (tied, free)]
    torch.testing.assert_close(*totals)
    for total in totals:
        total.backward()
    both = [e.inputs.table.grad.to_dense() for e in (one, left, right)]
    torch.testing.assert_close(both[0], both[1] + both[2])
    assert len(runs) == 1


def test_its_matrix_is_no_weight_of_the_model() -> None:
    made = encoder(random_weights(5, 0), [1.0, 1.0])
    assert set(made.state_dict()) == {"inputs.table"}
    on_meta = made.to("meta")
    assert {buffer.device.type for buffer in on_meta.buffers()} == {"meta"}


@pytest.mark.parametrize("layer_weights", [[], [0.0, 0.0]])
def test_layers_that_count_for_nothing_are_refused(layer_weights: list[float]) -> None:
    with pytest.raises(ValueError, match="layer_weights must have one that is not 0"):
        encoder(random_weights(3, 0), layer_weights)

import torch
from torch import Tensor
from torch.nn import functional as F

from recsys_lab.data.batch import VisitedItems
from recsys_lab.models.encoders import IdEncoder, SideInfoEncoder
from recsys_lab.models.pinsage import Convolution, PinSage
from tests.models import model_cases as cases

DIM, NEIGHBOURS = 4, 3


def visited(num_items: int, seed: int = 0) -> VisitedItems:
    """Three neighbours of every item but the last, which has none."""
    generator = torch.Generator().manual_seed(seed)
    neighbours = torch.randint(0, num_items - 1, (num_items, NEIGHBOURS), generator=generator)
    shares = torch.rand(num_items, NEIGHBOURS, generator=generator, dtype=torch.float64)
    neighbours[-1], shares[-1] = 0, 0
    return VisitedItems(neighbours.int(), shares / shares.sum(1, keepdim=True).clamp_min(1e-12))


def encoder(num_items: int, layers: int, found: VisitedItems | None = None) -> PinSage:
    """With weights that are all away from zero."""
    torch.manual_seed(0)
    inputs = IdEncoder(num_items, DIM, init_scale=8.0)
    made = PinSage(inputs, found or visited(num_items), DIM, [NEIGHBOURS] * layers, 0.5)
    for number, parameter in enumerate(made.layers.parameters()):
        torch.nn.init.normal_(parameter, std=5.0, generator=torch.Generator().manual_seed(number))
    return made.double()


def expected_vector(made: PinSage, item: int, layer: int) -> Tensor:
    """The definition, one item at a time."""
    if layer == 0:
        return made.inputs.table[item]
    convolve: Convolution = made.layers[layer - 1]
    own, pooled = expected_vector(made, item, layer - 1), torch.zeros(DIM).double()
    for place in range(NEIGHBOURS):
        other = expected_vector(made, int(made.neighbours[item, place]), layer - 1)
        pooled = pooled + made.shares[item, place] * other
    first, second = convolve.hidden, convolve.output
    hidden = first.scale * (first.weight @ torch.cat([own, pooled]) + first.bias)
    learned = second.scale * (second.weight @ hidden.clamp_min(0) + second.bias)
    return own + 0.5 * pooled + learned


def test_vectors_follow_the_definition() -> None:
    for layers in (1, 2):
        made = encoder(9, layers)
        every = torch.stack([expected_vector(made, item, layers) for item in range(9)])
        items = torch.tensor([[3, 3, 8], [0, 5, 3]])
        torch.testing.assert_close(made(items), every[items])
        torch.testing.assert_close(made.item_vectors(), every)
        torch.testing.assert_close(made.item_vectors(items[1]), every[items[1]])


def test_blocks_of_items_change_nothing(monkeypatch) -> None:
    made = encoder(9, 2)
    whole = made.item_vectors()
    monkeypatch.setattr("recsys_lab.models.pinsage._BLOCK", 2)
    torch.testing.assert_close(made.item_vectors(), whole)


def test_gradient() -> None:
    made = encoder(6, 2)
    items = torch.tensor([0, 3, 3, 5])
    weight = made.layers[0].hidden.weight

    def vectors(table: Tensor, _: Tensor) -> Tensor:
        made.inputs.forward = lambda ids: table[ids]  # IdEncoder has a sparse gradient
        return made(items)

    table = torch.randn(6, DIM, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(vectors, (table, weight))


def test_an_item_that_comes_later_has_the_vector_of_its_neighbours() -> None:
    """As if it had been there, without an input of its own; nothing of the others changes."""
    before = encoder(8, 2)
    found = visited(8)
    new = torch.tensor([[2, 4, 5]]), torch.tensor([[0.5, 0.3, 0.2]]).double()
    longer = VisitedItems(
        torch.cat([found.neighbours, new[0].int()]), torch.cat([found.shares, new[1]])
    )
    after = encoder(9, 2, longer)
    with torch.no_grad():
        after.inputs.table[:8], after.inputs.table[8] = before.inputs.table, 0
    torch.testing.assert_close(before.new_vectors(torch.zeros(1, DIM).double(), *new), after(
        torch.tensor([8])
    ).detach())  # fmt: skip
    torch.testing.assert_close(before.item_vectors(), after.item_vectors()[:8])
    seen = torch.arange(9) < 8
    assert after.can_encode(seen).all()  # it has neighbours
    assert not before.can_encode(seen[1:])[7]  # neither pairs nor neighbours


def test_a_cold_item_gets_its_vector_from_its_side_information() -> None:
    """Items 2 and 3 have no pair; 3 has a brand of item 0, and 2 has nothing."""
    trained = torch.tensor([True, True, False, False])
    brand = cases.field([[0], [1], [], [0]], 2)
    inputs = SideInfoEncoder(trained, [brand], DIM, "mean", 4.0).double()
    neighbours = torch.tensor([[1], [0], [0], [0]]).int()
    found = VisitedItems(neighbours, torch.tensor([[1.0], [1.0], [0.0], [0.0]]).double())
    made = PinSage(inputs, found, DIM, [1], 0.5).double()
    assert made.can_encode(trained).tolist() == [True, True, False, True]
    torch.testing.assert_close(made.item_vectors()[3], inputs.table[4].detach())
    made.layers[0].output.weight.data.normal_()
    assert (made.item_vectors()[3] != inputs.table[4]).any()


def test_visits_are_no_weights_of_the_model() -> None:
    made = encoder(5, 1)
    names = {
        f"layers.0.{layer}.{kind}" for layer in ("hidden", "output") for kind in ("weight", "bias")
    }
    assert set(made.state_dict()) == names | {"inputs.table"}
    assert {tensor.device.type for tensor in made.to("meta").buffers()} == {"meta"}


def test_shares_of_all_neighbours_count_as_they_are() -> None:
    """Ten float32 tenths sum to more than one: dividing by their sum would change their bits."""
    neighbours = torch.arange(10).repeat(11, 1).int()
    found = VisitedItems(neighbours, torch.full((11, 10), 0.1))
    made = PinSage(IdEncoder(11, DIM, init_scale=8.0), found, DIM, [10], 0.5)
    table = made.inputs.table.detach()
    mean = F.embedding_bag(neighbours, table, mode="sum", per_sample_weights=found.shares)
    assert torch.equal(made.item_vectors(), table + 0.5 * mean)

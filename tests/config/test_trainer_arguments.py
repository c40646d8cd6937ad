"""Every argument of Lightning's trainer has an effect here, or is refused by name."""

import inspect

import pytest
from pytorch_lightning import Trainer

from recsys_lab.config.library_arguments import used_arguments
from recsys_lab.config.rank_count import rank_count
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.config.trainer_arguments import REFUSED, check_trainer

PLAIN = {
    "max_epochs": 1, "max_steps": -1, "max_time": None, "accelerator": "cpu", "devices": 1,
    "enable_progress_bar": False,
}  # fmt: skip


def test_no_argument_is_forgotten() -> None:
    every = set(inspect.signature(Trainer.__init__).parameters) - {"self"}
    used = set(used_arguments("pytorch_lightning.Trainer"))
    assert used | set(REFUSED) == every
    assert not used & set(REFUSED)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_it_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^trainer\.{name} (cannot|has no|is not)"):
        check_trainer(PLAIN | {name: 1})


@pytest.mark.parametrize(
    "limits",
    [
        {"max_steps": 9},
        {"max_epochs": -1, "max_steps": 9},
        {"max_epochs": None, "max_time": "00:00:00:01"},
        {"max_epochs": -1, "max_time": {"minutes": 90}, "min_steps": 3},
        {"max_time": "100:23:59:59", "min_epochs": 1},
    ],
)
def test_limits_that_end(limits: dict) -> None:
    check_trainer(PLAIN | limits)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_epochs": -1}, "never end: set trainer.max_epochs, trainer.max_steps or"),
        ({"max_epochs": None}, "never end"),
        ({"min_epochs": 2}, "trainer.min_epochs has no effect without trainer.max_time"),
        ({"min_steps": 2}, "trainer.min_steps has no effect"),
        *(
            ({"max_time": wrong}, "trainer.max_time must be given as DD:HH:MM:SS")
            for wrong in (
                "00:00:00:00", "01:00", "00:00:1:00", "a:b:c:d", "", 5, 0.5, True, [], {},
                {"minutes": 0}, {"minutes": -1}, {"minute": 1}, {"minutes": 0.5}, {"days": 10**12},
            )
        ),
    ],
)  # fmt: skip
def test_limits_that_do_not(limits: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_trainer(PLAIN | limits)


@pytest.mark.parametrize(
    ("options", "count"),
    [({}, 1), ({"devices": 3}, 3), ({"devices": 3, "num_nodes": 2}, 6)],
)
def test_number_of_ranks(options: dict, count: int) -> None:
    trainer = PLAIN | {"strategy": "ddp"} | options
    check_trainer(trainer)
    assert rank_count(trainer) == count
    assert rank_count(PLAIN) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": 2}, "trainer.devices=2 is of several processes: add trainer=ddp"),
        ({"num_nodes": 2}, "trainer.num_nodes=2 is of several processes: add trainer=ddp"),
        ({"strategy": "ddp", "devices": 0}, "trainer.devices must be >= 1, got 0"),
        ({"strategy": "ddp", "devices": True}, "trainer.devices must be"),
        ({"strategy": "ddp", "devices": "auto"}, "trainer.devices must be"),
        ({"strategy": "ddp", "devices": [0, 1]}, "trainer.devices must be"),
        ({"strategy": "ddp", "accelerator": "auto"}, "trainer.accelerator=auto cannot be used"),
    ],
)
def test_ranks_that_cannot_be(options: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_trainer(PLAIN | options)

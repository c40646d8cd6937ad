"""The one LightningModule: it trains any network that has a loss for the batch contracts."""

import logging
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, Protocol

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from recsys_lab.data.batch import Batch
from recsys_lab.models.exchange import Exchange, ExchangeOptions
from recsys_lab.models.groups import Group
from recsys_lab.models.optimizers import build_optimizers
from recsys_lab.models.plan import Plan
from recsys_lab.models.schedules import Schedule
from recsys_lab.models.scoring import ScoreVectors
from recsys_lab.models.updates import WORDS, Updater, choose_updater

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
KEY = "recsys_lab"  # of what a checkpoint says of itself
NODE_HASH = "node hash"  # in the identity of a model that has vectors beside those of items
_REMEDIES = {NODE_HASH: "nodes"}


class EmbeddingNet(Protocol):
    """What a model is: a loss for either batch contract, and vectors that give its scores."""

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Weighted sum of the loss, and the weight of its positives."""
        ...

    def score_vectors(self, items: Tensor | None = None) -> ScoreVectors:
        """Vectors of the given items, of all if left out (these may be the live tables)."""
        ...

    def can_score(self, seen: Tensor) -> Tensor:
        """Mask (N,) of the items that have a meaningful vector, given those seen in training."""
        ...

    def probability(self, scores: Tensor) -> Tensor:
        """Scores brought into [0, 1] in their order."""
        ...


class TrainingError(RuntimeError):
    """Training cannot go on; the message names the step and the remedy."""


class EmbeddingTask(LightningModule):
    """Step, optimiser, schedule and the identity of the data, for any `EmbeddingNet`.

    Manual optimisation: the update of sparse tables is the optimiser's, and the learning rate is
    set from a formula before each step.

    Args:
        net: the model.
        optimizer: parameters -> optimiser; its `lr` is the base rate.
        schedule: share of the base rate by progress.
        identity: plain values that a checkpoint must agree on, such as the vocabulary's hash.
        config: the resolved configuration as plain containers, kept in checkpoints.
        exchange: what ranks exchange, where several train copies of the net.

    Attributes:
        kernel: what has updated the weights (`Updater.kernel`); None before training.
        rate: learning rate of the last step.
        plan: what the schedule is spread over; None takes the limits of the trainer.
        group: the ranks that train copies of the net; None trains the only one.
        exchange: of these ranks, while they train.
        at_batch_end: called after each batch, when all callbacks have been.
    """

    net: EmbeddingNet

    def __init__(
        self,
        net: nn.Module,
        optimizer: Callable[[Iterable[Tensor]], torch.optim.Optimizer],
        schedule: Schedule,
        identity: Mapping[str, str],
        config: Mapping[str, Any],
        exchange: ExchangeOptions | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = net  # type: ignore[assignment]
        self._optimizer = optimizer
        self.schedule = schedule
        self._identity = dict(identity)
        self._config = dict(config)
        self.kernel: str | None = None
        self.rate = 0.0
        self.plan: Plan | None = None
        self.group: Group | None = None
        self.exchange: Exchange | None = None
        self.at_batch_end: Callable[[], None] | None = None
        self._exchange_options = exchange or ExchangeOptions()
        self._updater: Updater | None = None

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """The optimisers over all parameters; the first decides the rate that is logged."""
        return build_optimizers(self._optimizer, self)

    def learning_rate(self, batch_idx: int) -> float:
        """Rate of the next step: a function of its place in what is planned."""
        epoch_progress = batch_idx / self.trainer.num_training_batches
        epochs = self.current_epoch + epoch_progress
        plan = self.plan or Plan(self.trainer.max_epochs, self.trainer.max_steps)
        progress = plan.progress(epochs, self.global_step)
        return self.base_rate * self.schedule(progress, epoch_progress)

    def _optimizers(self) -> list[LightningOptimizer]:
        optimizers = self.optimizers()
        return optimizers if isinstance(optimizers, list) else [optimizers]

    @property
    def base_rate(self) -> float:
        """The rate that the schedule takes a share of."""
        # Not from the parameter groups: a checkpoint brings those along.
        return float(self._optimizers()[0].optimizer.defaults["lr"])

    def on_fit_start(self) -> None:
        """Choose what updates the weights.

        Raises:
            ValueError: the net asks for the kernels and they cannot train it.
        """
        self._updater = choose_updater(
            self.net,  # type: ignore[arg-type]
            self._optimizers()[0].optimizer,
            self.trainer.datamodule.frequencies,  # type: ignore[attr-defined]
            self._set_gradients,
            self.trainer.precision,
        )
        self.kernel = self._updater.kernel
        log.info("training by %s", WORDS[self.kernel].format(precision=self.trainer.precision))

    def on_train_start(self) -> None:
        """Get ready to exchange, now that weights and state of the optimisers are in place."""
        if self.group is None or self.group.size == 1:
            return
        optimizers = [one.optimizer for one in self._optimizers()]
        self.exchange = Exchange(optimizers, self._exchange_options, self.group)
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        places = data.draw(0, 0).num_trained
        batches = int(self.trainer.num_training_batches)
        self.exchange.begin(batches, data.frequencies, places, lambda: self.current_epoch)

    def on_fit_end(self) -> None:
        """Let the threads of the kernels go."""
        self.exchange = self.group = self.at_batch_end = None
        if self._updater is not None:
            self._updater.close()
            self._updater = None

    def _set_gradients(self, loss: Tensor) -> None:
        for optimizer in self._optimizers():
            optimizer.zero_grad(set_to_none=True)
        self.manual_backward(loss)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """One update.

        Returns:
            the mean loss of a positive with its negatives, detached; the items trained; whether a
            checkpoint taken now is whole (`RankTraining`).
        """
        first, *others = self._optimizers()
        self.rate = rate = self.learning_rate(batch_idx)
        for group in chain.from_iterable(o.param_groups for o in (first, *others)):
            group["lr"] = rate
        assert self._updater is not None  # noqa: S101 - `on_fit_start` has chosen
        total, weight = self._updater.update(batch, rate)
        first.step()  # this one counts, so that `global_step` is the number of batches
        for optimizer in others:
            optimizer.optimizer.step()
        if self.exchange is not None:
            self.exchange.after_batch(batch_idx + 1)
        mean = total / weight.clamp_min(1e-12)
        return {"mean_loss": mean, "num_trained": batch.num_trained, "is_whole": True}

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """The last of the hooks of a batch."""
        if self.at_batch_end is not None:
            self.at_batch_end()

    def check_finite(self, loss: float) -> None:
        """Stop the run on a loss that is not a number.

        Raises:
            TrainingError: naming the step and the remedy.
        """
        if not abs(loss) < float("inf"):
            raise TrainingError(
                f"the loss is {loss} at step {self.global_step}: choose a smaller lr= than "
                f"{self.base_rate:g}"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put in what the weights belong to."""
        checkpoint[KEY] = {
            "schema": SCHEMA_VERSION,
            "identity": self._identity,
            "config": self._config,
            "ranks": 1 if self.group is None else self.group.size,
            "num_batches": getattr(self.trainer.datamodule, "num_batches", None),  # type: ignore[attr-defined]
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the checkpoint of other data, even where shapes agree.

        Raises:
            TrainingError: naming both.
        """
        check_identity(checkpoint, {NODE_HASH: None, **self._identity})
        self._check_weights(checkpoint["state_dict"])

    def _check_weights(self, stored: Mapping[str, Tensor]) -> None:
        current = self.state_dict()
        for name in sorted(current.keys() | stored.keys()):
            shapes = [tuple(w[name].shape) if name in w else "absent" for w in (stored, current)]
            if shapes[0] != shapes[1]:
                raise TrainingError(
                    f"the checkpoint belongs to another model: its {name} is {shapes[0]}, here it "
                    f"is {shapes[1]}; use the model options that it was trained with"
                )


def check_identity(checkpoint: Mapping[str, Any], identity: Mapping[str, str | None]) -> None:
    """Refuse the checkpoint of other data, even where shapes agree; None is of what it lacks.

    Raises:
        TrainingError: naming both.
    """
    stored = checkpoint.get(KEY, {})
    if stored.get("schema") != SCHEMA_VERSION:
        raise TrainingError(
            f"the checkpoint has schema {stored.get('schema')}, this version reads "
            f"{SCHEMA_VERSION}: train again, or use the version that wrote it"
        )
    for name, current in identity.items():
        written = stored["identity"].get(name)
        if written != current:
            raise TrainingError(
                f"the checkpoint belongs to other data: its {name} is {written}, here it is "
                f"{current}; use the {_REMEDIES.get(name, 'catalogue and split')} that it was "
                "trained on"
            )

"""What gensim's tests ask of its word2vec, asked of the models here, on sentences of five topics.

Its `test_word2vec.py` trains on small corpora and looks at neighbours, seeds, vocabulary, formats.
Broken files of vectors are in `readers/test_vector_files.py`, ids of every kind in
`vectors/test_export.py`, going on with a training in `run/test_resuming.py`.
"""

import json
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gensim.models import KeyedVectors
from pytorch_lightning import Callback, Trainer

import recsys_lab
from recsys_lab.compute.threads import choose_threads
from recsys_lab.data.modules import SequenceDataModule
from recsys_lab.data.sequences import StoredSequences
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.models.builders import gensim_word2vec, skipgram
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.schedules import constant
from recsys_lab.models.task import EmbeddingTask
from recsys_lab.run.learning_curve import net_scorer
from recsys_lab.vectors.export import export
from tests.models.model_cases import items_with

WORDS = 7  # of a topic
TOPICS = 5  # word w belongs to topic w // WORDS
MODEL = {"embedding_dim": 16, "score": "cosine", "popularity_weight": 0.0}
DATA = {
    "window": 2, "shrink_windows": True, "subsample_threshold": 0.0, "negatives": "in_batch",
    "num_negatives": 5, "num_shared": 20, "negative_exponent": 0.75, "walks_per_batch": 60,
    "walks_per_group": 6, "num_workers": 0, "market": None, "num_market_negatives": 3,
    "num_node_contexts": 2,
    "num_rejected_types": 0,
    "num_rejected": 0,
}  # fmt: skip
GENSIM = {
    "window": 2, "shrink_windows": True, "num_negatives": 5, "negative_exponent": 0.75, "workers": 1
}  # fmt: skip

SKIPGRAM = partial(skipgram, l2=0.0, kernel="auto", cold_field=None, graph_weights=None, **MODEL)
ADAGRAD = partial(RowWiseAdagrad, lr=0.1)


def corpus(count: int = 500, length: int = 8) -> list[list[int]]:
    """Sentences of one topic each, with a word of another now and then."""
    rng = random.Random(0)
    return [
        [
            rng.randrange(WORDS * TOPICS)
            if rng.random() < 0.1
            else WORDS * topic + rng.randrange(WORDS)
            for _ in range(length)
        ]
        for topic in rng.choices(range(TOPICS), k=count)
    ]


class Losses(Callback):
    """The mean loss of every epoch."""

    def __init__(self) -> None:
        self.epochs: list[list[float]] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        self.epochs.append([])

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        self.epochs[-1].append(float(outputs["mean_loss"]))


def train(
    sentences: list[list[int]],
    *,
    epochs: int = 4,
    seed: int = 0,
    net: Any = SKIPGRAM,
    optimizer: Any = ADAGRAD,
    **data: Any,
) -> tuple[VectorScorer, list[float]]:
    """Scores after training, and the loss of each epoch."""
    table = np.full((len(sentences), max(map(len, sentences))), -1, np.int32)
    for row, sentence in zip(table, sentences, strict=True):
        row[: len(sentence)] = sentence
    torch.manual_seed(seed)
    items = items_with({}, [1] * (WORDS * TOPICS))
    task = EmbeddingTask(net(items), optimizer, constant, {}, {})
    source = StoredSequences(table, WORDS * TOPICS, seed=seed)
    losses = Losses()
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[losses],
    )  # fmt: skip
    trainer.fit(task, datamodule=SequenceDataModule(source, seed, **{**DATA, **data}))
    means = [float(np.mean(epoch)) for epoch in losses.epochs]
    return net_scorer(task, np.ones(WORDS * TOPICS, bool)), means


def share_of_topic(scorer: VectorScorer) -> float:
    """Share of each word's six nearest that are the other words of its topic."""
    words = np.arange(WORDS * TOPICS)
    scores = scorer.score_rows(words)
    np.fill_diagonal(scores, -np.inf)
    nearest = np.argsort(-scores, axis=1)[:, : WORDS - 1]
    return float((nearest // WORDS == words[:, None] // WORDS).mean())


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "per pair": {"negatives": "per_pair"},
    "shared": {"negatives": "shared"},
    "fixed window": {"shrink_windows": False, "window": 4},
    "window of one": {"window": 1},
    "uniform negatives": {"negative_exponent": 0.0},
    "one negative": {"num_negatives": 1},
    "autograd": {
        "net": partial(
            skipgram, l2=0.0, kernel="autograd", cold_field=None, graph_weights=None, **MODEL
        )
    },
    "dot": {
        "net": partial(
            skipgram,
            l2=0.0,
            kernel="auto",
            cold_field=None,
            graph_weights=None,
            **{**MODEL, "score": "dot"},
        )
    },
    "sgd": {"optimizer": partial(torch.optim.SGD, lr=0.02), "epochs": 10},
    "subsampling": {"subsample_threshold": 0.001},
    "empty and single": {"sentences": [[], *corpus(), [3], []]},
    "long sentences": {
        "sentences": corpus(10, 400),
        "negatives": "shared",
        "walks_per_batch": 2,
        "walks_per_group": 1,
        "epochs": 10,
    },
    "gensim, skip-gram": {
        "net": partial(gensim_word2vec, sg=1, **GENSIM, **MODEL),
        "optimizer": partial(torch.optim.SGD, lr=0.1),
    },
    "gensim, CBOW": {
        "net": partial(gensim_word2vec, sg=0, **GENSIM, **MODEL),
        "optimizer": partial(torch.optim.SGD, lr=0.1),
        "epochs": 20,
    },
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    choose_threads(1)
    yield
    choose_threads(None)


@pytest.mark.parametrize("name", VARIANTS)
def test_words_of_one_topic_are_neighbours_and_the_loss_falls(name: str) -> None:
    scorer, losses = train(**{"sentences": corpus(), **VARIANTS[name]})
    assert share_of_topic(scorer) > 0.85
    assert losses[-1] < 0.97 * losses[0]
    assert scorer.queries.shape == (WORDS * TOPICS, 16)
    assert scorer.queries.dtype == torch.float32


def test_one_seed_gives_one_model_and_more_epochs_do_no_harm() -> None:
    (one, _), (again, _), (other, _) = (train(corpus(), epochs=1, seed=s) for s in (0, 0, 1))
    assert torch.equal(one.queries, again.queries)
    assert (one.queries != other.queries).any(1).all()
    longer, _ = train(corpus(), epochs=15)
    assert share_of_topic(longer) >= max(0.98, share_of_topic(one))


def test_two_threads_learn_the_same_neighbours() -> None:
    choose_threads(2)
    assert share_of_topic(train(corpus(), num_workers=2)[0]) > 0.95


NAMES = ["0000013714", "nan", "caffè", "😀", "=cmd()", "1e5", "True"]


def test_a_file_of_sentences_to_a_file_of_vectors(tmp_path: Path) -> None:
    """By the words of the command line, with ids of every kind; gensim reads the result."""
    names = NAMES + [f"w{n}" for n in range(WORDS, WORDS * TOPICS)]
    sentences, pairs = (tmp_path / name for name in ("sentences.json", "pairs.tsv"))
    lines = [json.dumps([names[word] for word in sentence]) for sentence in corpus()]
    sentences.write_text("\n".join(["[]", *lines, '["nobody", "knows"]']))
    ends = [(a, b) for a in range(35) for b in range(a) if a // WORDS == b // WORDS or b % 9 == 0]
    pairs.write_text("".join(f"{names[a]}\t{names[b]}\n" for a, b in ends))
    experiment = recsys_lab.configure(
        "catalog=edges", f"catalog.path={pairs}", "data/source=sequence_file", "num_threads=1",
        f"data.source.path={sentences}", "data.source.held_out=keep", "model.embedding_dim=16",
        "trainer.max_epochs=4", "trainer.enable_progress_bar=false", "split.negatives=[uniform]",
        "data.walks_per_batch=60", "model.popularity_weight=0", "model.score=cosine",
    )  # fmt: skip
    prepared = recsys_lab.prepare(experiment.source, experiment.split, tmp_path / "prepared")
    fitted = recsys_lab.fit(prepared, experiment, tmp_path / "run")
    embeddings = recsys_lab.Embeddings.load(fitted.save_embeddings())
    for form in ("word2vec", "word2vec-binary"):
        out = tmp_path / form
        export(embeddings, form, out)
        read = KeyedVectors.load_word2vec_format(str(out), binary=form.endswith("binary"))
        for name in names:
            np.testing.assert_array_equal(read[name], fitted.vectors([name])[0])
        assert {name for name, _ in read.most_similar("nan", topn=6)} == {*NAMES} - {"nan"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_negatives": 0}, "num_negatives must be >= 1, got 0"),
        ({"window": 0}, "window must be >= 1, got 0"),
        ({"sentences": [[], []]}, "there are no sequences"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(**{"sentences": corpus(9), **changes})

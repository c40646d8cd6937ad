"""A laboratory for item embeddings.

`train.py` and a notebook call the same functions. Importing the package imports no library; each
name is imported when it is first used.

Examples:
    >>> import recsys_lab
    >>> experiment = recsys_lab.configure(
    ...     "experiment=skipgram", "catalog.num_items=400", "model.embedding_dim=16",
    ...     "trainer.max_epochs=3", "trainer.enable_progress_bar=false",
    ... )
    >>> prepared = recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)
    >>> fitted = recsys_lab.fit(prepared, experiment, "outputs/notebook")
    >>> metrics = fitted.test()
    >>> metrics["test/auc/uniform/all"] > metrics["baseline/popularity/auc/uniform/all"]
    True
    >>> some = prepared.catalog.raw_ids[:2].to_list()
    >>> fitted.vectors(some).shape
    (2, 16)
    >>> embeddings = recsys_lab.Embeddings.load("outputs/notebook")
    >>> bool(abs(embeddings.score(*some) - fitted.score(some[:1], some[1:])[0]) < 1e-5)
    True
"""

TYPE_CHECKING = False  # true for type checkers; `typing` itself would be imported
if TYPE_CHECKING:
    from recsys_lab.catalog.event_split import EventSplitOptions
    from recsys_lab.catalog.prepared import PreparedData, prepare
    from recsys_lab.catalog.split import SplitOptions
    from recsys_lab.readers.amazon import AmazonSource
    from recsys_lab.readers.edges import EdgeSource
    from recsys_lab.readers.events import EventSource
    from recsys_lab.readers.synthetic import SyntheticSource
    from recsys_lab.run.experiment import configure
    from recsys_lab.run.fitted import Fitted
    from recsys_lab.run.fitting import fit, load
    from recsys_lab.run.parts import Experiment
    from recsys_lab.vectors.embeddings import Embeddings

__version__ = "0.1.0"
__all__ = [
    "AmazonSource",
    "EdgeSource",
    "Embeddings",
    "EventSource",
    "EventSplitOptions",
    "Experiment",
    "Fitted",
    "PreparedData",
    "SplitOptions",
    "SyntheticSource",
    "configure",
    "fit",
    "load",
    "prepare",
]
_MODULES = {
    "catalog.event_split": ("EventSplitOptions",),
    "catalog.prepared": ("PreparedData", "prepare"),
    "catalog.split": ("SplitOptions",),
    "readers.amazon": ("AmazonSource",),
    "readers.edges": ("EdgeSource",),
    "readers.events": ("EventSource",),
    "readers.synthetic": ("SyntheticSource",),
    "run.experiment": ("configure",),
    "run.fitted": ("Fitted",),
    "run.fitting": ("fit", "load"),
    "run.parts": ("Experiment",),
    "vectors.embeddings": ("Embeddings",),
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

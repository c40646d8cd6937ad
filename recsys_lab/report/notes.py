"""Notes above a table: its data, and warnings."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from recsys_lab.report.baseline_facts import baseline_facts
from recsys_lab.report.names import baseline_labels, flatten
from recsys_lab.results.metric_names import SLICES
from recsys_lab.results.run_folder import Run

_OF_DATA = ("catalog.", "split.")  # settings
_MAX_LABELS = 4  # that are named in a sentence
_TOLERANCE = 1e-9  # baselines of one split differ by no more


def data_titles(runs: Sequence[Run]) -> list[str]:
    """Which catalogue, and how it was split, for runs on different data.

    Equal titles get the settings of the data that differ, or else the hashes.
    """
    titles = [_data_title(run) for run in runs]
    for title in dict.fromkeys(titles):
        equal = [k for k, other in enumerate(titles) if other == title]
        if len(equal) > 1:
            for k, words in zip(equal, _what_differs([runs[k] for k in equal]), strict=True):
                titles[k] = f"{title} ({words})"
    return titles


def _what_differs(runs: Sequence[Run]) -> list[str]:
    """What tells the data of runs apart: settings, or else the beginnings of the hashes."""
    own = [
        {name: value for name, value in flatten(run.config).items() if name.startswith(_OF_DATA)}
        for run in runs
    ]
    names = sorted({name for flat in own for name in flat})
    differing = [n for n in names if any(flat.get(n) != own[0].get(n) for flat in own)]
    words = [", ".join(f"{n}={flat.get(n)}" for n in differing[:_MAX_LABELS]) for flat in own]
    if len(set(words)) == len(runs):
        return words
    hashes = [", ".join(name[:12] for name in run.data) for run in runs]
    return [", ".join(filter(None, both)) for both in zip(words, hashes, strict=True)]


def _data_title(run: Run) -> str:
    catalog = run.config.get("catalog") or {}
    path = catalog.get("path") if isinstance(catalog, Mapping) else None
    name = str(run.choices.get("catalog") or "catalogue")
    if isinstance(path, list) and path:
        name = f"{Path(str(path[0])).name} and {len(path) - 1} more"
    elif path:
        name = Path(str(path)).name.removesuffix(".gz").rpartition(".")[0] or str(path)
    split = run.config.get("split")
    by = split.get("by", "pairs") if isinstance(split, Mapping) else "pairs"
    shown = ("items", "users", "events") if "data/num_users" in run.metrics else ("items", "pairs")
    sizes = {what: run.metrics.get(f"data/num_{what}") for what in shown}
    texts = [f"{number:,} {what}" for what, number in sizes.items() if number is not None]
    return f"{name}, split by {by}{': ' if texts else ''}{', '.join(texts)}"


def tested_things(metrics: Mapping[str, object]) -> str:
    """What the test consists of: pairs of items, or items that users or sessions are to get."""
    query = metrics.get("data/query")
    return f"items of {query}s" if query else "pairs"


def queries_of(metrics: Mapping[str, object]) -> str:
    """What lists are made for."""
    query = metrics.get("data/query")
    return f"{query}s" if query else "query items"


def data_notes(runs: Sequence[Run]) -> list[str]:
    """The data of a table, and the runs whose test had other settings."""
    first = runs[0].metrics
    split_hash, vocabulary_hash = runs[0].data
    counts = [
        f"{first[key]:,} {part.replace('_', ' ')}"
        for part in SLICES
        if (key := f"count/test/{part}") in first
    ]
    notes = [f"Split {split_hash[:12]}, vocabulary {vocabulary_hash[:12]}."]
    if counts:
        notes.append(f"Test {tested_things(first)}: {', '.join(counts)}.")
    ranked, total = (first.get(f"count/test/query_items/{what}") for what in ("ranked", "total"))
    if ranked != total:
        notes.append(f"Ranking from a sample: {ranked:,} of {total:,} {queries_of(first)}.")
    for level in ("chance", "popularity"):
        poor = [r.folder.name for r in runs if r.metrics.get("validation/no_better_than") == level]
        if poor:
            notes.append(f"No better than {level} on validation pairs: {', '.join(poor)}.")
    return [*notes, *baseline_facts(first), *baseline_notes(runs)]


def baseline_notes(runs: Sequence[Run]) -> list[str]:
    """The runs whose baselines differ from those of the first, which are shown."""
    first, notes = runs[0].metrics, []
    names = [key for key in first if key.startswith("baseline/") and first[key] is not None]
    for run in runs[1:]:
        tested = baseline_labels(run.metrics)
        pairs = [(run.metrics.get(n), first[n]) for n in names if n.split("/")[1] in tested]
        if any(value is None or abs(value - shown) > _TOLERANCE for value, shown in pairs):
            notes.append(
                f"The baselines of {run.folder.name} differ from those shown, which are of "
                f"{runs[0].folder.name}: the two were tested with different settings."
            )
    return notes


def published_notes(are_there: bool) -> list[str]:
    """What the rows of published results are."""
    if not are_there:
        return []
    return ["“Published” rows were measured by others on the same split, by the same ranking."]


def coverage_notes(coverage: Mapping[str, float]) -> list[str]:
    """Which rows cannot score all pairs, given the share that each one scores."""
    unscored: dict[str, list[str]] = {}
    for label, share in coverage.items():
        if share < 1.0:
            unscored.setdefault(f"{1.0 - share:.2%}", []).append(label)
    if not unscored:
        return []
    shares = [f"{share} by {_some(labels)}" for share, labels in unscored.items()]
    return [
        f"Test pairs without a score: {'; '.join(shares)}. They take the median score in AUC all, "
        "unless none of a class is scored, and the last places in the ranking."
    ]


def _some(labels: Sequence[str]) -> str:
    """The first labels, and how many others there are."""
    if len(labels) <= _MAX_LABELS + 1:
        return ", ".join(labels)
    return f"{', '.join(labels[:_MAX_LABELS])} and {len(labels) - _MAX_LABELS} others"

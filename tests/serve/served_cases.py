"""Small runs to serve: two models of one catalogue with hostile titles, and one of another."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from recsys_lab.readers.records import ITEM_SCHEMA
from recsys_lab.vectors.score_form import ScoreTables
from recsys_lab.vectors.store import TEXT_COLUMNS, Content, write_embeddings
from tests.run_folder_cases import metrics, write_run

NUM_ITEMS = 40
HOSTILE = "<script>document.title='broken';alert(1)</script>"
IMAGE = "\"'><img src=x onerror=alert(2)>"
ODD_IDS = ["0000013714", "<b>&\"'", "a b/c?d=1&e#f", "nan", "é😀", "../../etc/passwd"]
IDS = sorted([*ODD_IDS, *(f"item{n:02d}" for n in range(NUM_ITEMS - len(ODD_IDS)))])
UNSCORED = "item33"  # nor is it in a training pair
ASKED = "item00"


def title_of(number: int) -> str | None:
    """Of an item by its place; every seventh has none."""
    odd = {2: HOSTILE, 3: IMAGE, 4: "\u202egnihton \u0645\u0631\u062d\u0628\u0627", 5: "x" * 300}
    return odd.get(number, f"Blue lamp number {number}" if number % 7 else None)


def items(ids: Sequence[str], titles: bool = True) -> pl.DataFrame:
    columns = {
        "item": list(ids),
        "title": [title_of(n) if titles else None for n in range(len(ids))],
        "brand": [f"Brand & {n % 3}" if n % 2 else None for n in range(len(ids))],
        "categories": [[["Home", "Lamps"], ["Home", f"Kind {n % 4}"]] for n in range(len(ids))],
        "price": [None if n % 5 == 0 else float(n) for n in range(len(ids))],
    }
    return pl.DataFrame(columns, schema={name: ITEM_SCHEMA[name] for name in TEXT_COLUMNS})


def training_pairs(ids: Sequence[str]) -> np.ndarray:
    """Pairs (P, 2) in order, most of them within four groups."""
    group = np.arange(len(ids)) % 4
    chance = np.where(group[:, None] == group, 0.5, 0.04)
    rng = np.random.default_rng(0)
    upper = np.triu(rng.random(chance.shape) < chance, 1)
    upper[ids.index(UNSCORED)] = upper[:, ids.index(UNSCORED)] = False
    return np.argwhere(upper)


def write_served_run(
    folder: Path,
    seed: int,
    ids: Sequence[str] = IDS,
    titles: bool = True,
    preset: str = "skipgram",
    split: str = "split-a",
    side_info: bool = False,
) -> Path:
    """A run folder with random vectors; with side information every item is scored."""
    number, rng = len(ids), np.random.default_rng(seed)
    pairs = training_pairs(ids)
    centers, contexts = rng.normal(size=(2, number, 6)).astype(np.float32)
    shared = 4 * np.eye(6, dtype=np.float32)[np.arange(number) % 4]
    bias = rng.normal(size=number).astype(np.float32)
    tables = ScoreTables(centers + shared, contexts + shared, bias, both_ways=True)
    num_pairs = np.bincount(pairs.ravel(), minlength=number)
    table = items(ids, titles).with_columns(
        num_pairs=pl.Series(num_pairs.astype(np.int32)), seen=pl.Series(num_pairs > 0)
    )
    columns = {
        "head": pl.Series(pairs[:, 0], dtype=pl.Int32),
        "tail": pl.Series(pairs[:, 1], dtype=pl.Int32),
        "weight": pl.Series(1.0 + pairs.sum(1) % 3, dtype=pl.Float32),
        "relations": pl.Series(pairs.sum(1) // 4 % 4, dtype=pl.UInt8),
    }
    values = metrics(quality=0.2 + seed / 100, split=split, vocabulary=f"{len(ids)} {titles}")
    facts = {name: values[name] for name in ("hash/split", "hash/vocabulary")}
    info = {
        "score": "center_context",
        "relations": ["also_bought", "bought_together"],
        "facts": facts,
        "metrics": {"test/ndcg@10/all": values["test/ndcg@10/all"]},
    }
    write_run(folder, seed, values, choices={"experiment": preset})
    scored = (np.array(ids) != UNSCORED) | side_info
    content = Content(table, scored, tables, pl.DataFrame(columns), info)
    write_embeddings(folder / "embeddings", content)
    return folder


def two_runs(folder: Path) -> list[Path]:
    """Two models of the same catalogue and split."""
    return [
        write_served_run(folder / "one", 1, preset="skipgram"),
        write_served_run(folder / "two", 2, preset="mf_pairs"),
    ]

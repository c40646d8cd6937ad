import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsys_lab.catalog import array_files, spilled_pairs
from recsys_lab.catalog.held_out_negatives import _first_distinct
from recsys_lab.catalog.prepared import PreparedData, prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.compute import memory
from recsys_lab.compute.memory import GB, MemoryLimit, MemoryLimitError, check_reading
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.records import CatalogSource
from recsys_lab.readers.synthetic import SyntheticSource
from tests.readers.edge_cases import edge_source

WEIGHTS = {"bought_together": 1.2, "also_bought": 1.0, "also_viewed": 0.5, "buy_after_viewing": 0.5}
BOTH = ("uniform", "degree_matched")
PLANTED = SyntheticSource(num_items=300, seed=0, relation_weights=WEIGHTS, outside_items="keep")
ROOMY = 1000.0


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spilled_pairs, "_BUCKET", 40)
    for module in (spilled_pairs, array_files):
        monkeypatch.setattr(module, "CHUNK", 17)


def edges(path: Path, count: int, types: int, seed: int) -> Path:
    """Edges of 60 items, a tenth of them of item 7, with weights whose sums are rounded."""
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, 60, (count, 2))
    ends[::10, 0] = 7
    weights = rng.random(count) * 10.0 ** rng.integers(-6, 7, count)
    header = "source\ttarget\tweight\ttype\n" if types else "source\ttarget\tweight\n"
    rows = [
        f"i{a}\ti{b}\t{w}" + (f"\tt{k % types}" if types else "")
        for k, ((a, b), w) in enumerate(zip(ends, weights, strict=True))
        if a != b
    ]
    path.write_text(header + "\n".join(rows) + "\n")
    return path


def contents(prepared: PreparedData) -> list[dict]:
    folders = (prepared.catalog_folder, prepared.split_folder)
    return [json.loads((folder / "manifest.json").read_text()) for folder in folders]


def check_equal(source: CatalogSource, options: SplitOptions, folder: Path) -> PreparedData:
    plain = prepare(source, options, folder / "plain")
    limited = prepare(source, options, folder / "limited", max_memory_gb=ROOMY)
    assert contents(limited) == contents(plain)  # hashes of every file
    assert limited.split_hash == plain.split_hash
    return limited


@pytest.mark.parametrize("by", ["pairs", "items"])
def test_items_and_relations_are_those_of_the_plain_way(by: str, tmp_path: Path) -> None:
    prepared = check_equal(PLANTED, SplitOptions(by, 0.1, 0.1, BOTH, 3), tmp_path)
    assert len(prepared.relations.names) > 1
    assert not (prepared.catalog_folder / "spilled").exists()


@pytest.mark.parametrize("types", [0, 3])
def test_edges_are_those_of_the_plain_way(types: int, tmp_path: Path) -> None:
    path = edges(tmp_path / "edges.tsv", 3000, types, 0)
    check_equal(edge_source(str(path)), SplitOptions("pairs", 0.1, 0.1, ("uniform",), 0), tmp_path)


def test_given_pairs_are_those_of_the_plain_way(tmp_path: Path) -> None:
    path = edges(tmp_path / "edges.tsv", 400, 0, 0)
    held = []
    for name in ("val", "test"):
        held.append(tmp_path / f"{name}.tsv")
        rows = [f"i{k}\ti{(k * 7 + len(name)) % 60}\t{k % 2}" for k in range(1, 50)]
        held[-1].write_text("\n".join(rows) + "\n")
    source = edge_source(str(path), *map(str, held))
    check_equal(source, SplitOptions("pairs", 0.1, 0.1, ("uniform",), 0), tmp_path)


def test_weights_beyond_float32_are_refused_as_before(tmp_path: Path) -> None:
    path = tmp_path / "edges.tsv"
    path.write_text("a\tb\t3e38\nb\ta\t3.1e38\na\tc\t1\n")
    options = SplitOptions("pairs", 0.1, 0.1, ("uniform",), 0)
    messages = []
    for limit in (None, ROOMY):
        with pytest.raises(CatalogError) as found:
            prepare(edge_source(str(path)), options, tmp_path / "out", max_memory_gb=limit)
        messages.append(str(found.value))
    assert messages[0] == messages[1]
    assert "the pair 'a' and 'b'" in messages[0]


@pytest.mark.parametrize(
    ("resident", "work"),
    [
        ([3.0], "preparation needs 3.00 GB"),
        ([1.0, 3.0], "reading"),
        ([1.0, 1.0, 1.995], "summing .* listings needs 2.00 GB"),
        ([1.0, 1.0, 1.0, 1.0, 3.0], "splitting .* pairs needs 3.00 GB"),
    ],
)
def test_what_cannot_be_held_is_refused(
    resident: list[float], work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    require = MemoryLimit.require

    def at_step(limit: MemoryLimit, needed: int, work: str) -> None:
        steps.append(work)
        now = resident[min(len(steps), len(resident)) - 1]
        monkeypatch.setattr(memory, "resident", lambda: int(now * GB))
        require(limit, needed, work)

    monkeypatch.setattr(MemoryLimit, "require", at_step)
    path = edges(tmp_path / "edges.tsv", 100, 0, 0)
    options = SplitOptions("pairs", 0.1, 0.1, ("uniform",), 0)
    with pytest.raises(CatalogError, match=f"{work}.*max_memory_gb=2: raise it to"):
        prepare(edge_source(str(path)), options, tmp_path / "out", max_memory_gb=2)
    assert not list(tmp_path.glob("out/splits/*/*"))
    check_reading("a file", 1)  # the limit ends with the reading


def test_a_limit_names_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "resident", lambda: GB)
    with pytest.raises(MemoryLimitError, match=r"^sorting needs 3\.50 GB and max_memory_gb=2:"):
        MemoryLimit(2 * GB).require(5 * GB // 2, "sorting")
    MemoryLimit(2 * GB).require(GB, "sorting")


def test_the_first_distinct_keys_come_in_their_order() -> None:
    keys = np.array([5, 3, 5, 9, 3, 8] * 40 + [1])
    assert _first_distinct(keys, 4, 10).tolist() == [5, 3, 9, 8]
    assert _first_distinct(keys, 5, 10).tolist() == [5, 3, 9, 8, 1]
    assert _first_distinct(keys, 9, 10).tolist() == [5, 3, 9, 8, 1]


_MEASURED = """
import resource, sys
from recsys_lab.catalog.prepared import prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.readers.amazon import AmazonSource

path, folder, weights, limit = sys.argv[1], sys.argv[2], {"also_bought": 1.0}, eval(sys.argv[3])
options = SplitOptions("pairs", 0.05, 0.05, ("uniform", "degree_matched"), 0)
source = AmazonSource(path, weights, "keep", False, 0, 0.01)
done = prepare(source, options, folder, max_memory_gb=limit)
print(done.split_hash, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.soak
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of Linux")
def test_resident_memory_stays_below_the_limit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with gzip.open(tmp_path / "items.json.gz", "wt", compresslevel=1) as file:
        for item in range(300_000):
            near = (item + 1 + (rng.random(40) ** 3 * 30_000).astype(int)) % 300_000
            listed = [f"B{other:09}" for other in near]
            file.write(json.dumps({"asin": f"B{item:09}", "related": {"also_bought": listed}}))
            file.write("\n")

    def run(limit: float | None) -> tuple[str, int]:
        words = (str(tmp_path / "items.json.gz"), str(tmp_path / str(limit)), repr(limit))
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, *words], capture_output=True, text=True, check=True
        )
        split_hash, peak = done.stdout.split()
        return split_hash, int(peak)

    (plain_hash, plain_peak), (split_hash, peak) = run(None), run(0.7)
    assert split_hash == plain_hash
    assert peak <= 0.7 * GB < plain_peak

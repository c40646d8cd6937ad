"""Every command in the README and in docs/ runs, at a small size."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pytest

from recsys_lab.config.configuration import check_configuration, register_resolvers
from recsys_lab.config.overrides import compose_jobs
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.readers.synthetic import write_synthetic
from tests.documented import (
    PAGES,
    PROGRAMS,
    Command,
    UnknownCommandError,
    absent_extras,
    blocks,
    documented_commands,
    first_job,
    recipe,
    small,
)
from tests.run_cases import ROOT

Call = tuple[str, list[str]]  # a program and its arguments
DOCUMENTED = documented_commands()
EXAMPLE = ROOT / "tests" / "plugin"  # the package and the configuration of docs/adding-code.md
# What a run can be called with after it: the commands with a placeholder come last.
CLUSTERS = ("hydra/launcher=ray", "hydra/launcher=submitit_slurm")  # tests.run.test_ray_sweeps
ORDER = {"recsys_lab.readers.synthetic": 0, "train.py": 1}


def of(*programs: str) -> list[Command]:
    return [command for command in DOCUMENTED if command.program in programs]


def from_make() -> list[Command]:
    return [inner for command in of("make") for inner in recipe(command)]


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """A folder with the files that the commands name."""
    words = [word for command in DOCUMENTED for word in command.words]
    named = {found[0] for word in words if (found := re.search(r"meta_\w[\w.]*\.json\.gz", word))}
    for name in sorted(named | {"FILE"}):
        write_synthetic(str(tmp_path / name), 300, 0)
    write_synthetic(str(tmp_path / "new_items.json.gz"), 320, 0)
    edges = [(a, a + step) for a in range(200) for step in (1, 2, 3, 5, 8)]
    lines = [f"i{a:03d},i{b:03d}" for a, b in edges]
    for name in ("train.csv", "a, b.csv"):
        (tmp_path / name).write_text("\n".join(lines))
    (tmp_path / "train.adjlist").write_text("\n".join(lines).replace(",", " "))
    for name, step in (("val.csv", 4), ("test.csv", 7)):
        pairs = [f"i{a:03d},i{a + step:03d},1\ni{a:03d},i{a + 60:03d},0" for a in range(100)]
        (tmp_path / name).write_text("\n".join(pairs))
    events = [(user, f"i{user + k:03d}", 600 * k) for user in range(150) for k in range(5)]
    log = "".join(f"{user},{item},{time},view\n" for user, item, time in events)
    (tmp_path / "log.csv").write_text(f"user,item,time,event\n{log}")
    kinds = ("hats", "shoes", "bags")
    products = "".join(f"i{item:03d},{'AB'[item % 2]},{kinds[item % 3]}\n" for item in range(155))
    (tmp_path / "products.csv").write_text(f"item,department,category\n{products}")
    later = "".join(f"901,{item},{k},view\n" for k, item in enumerate(("i010", "i900", "i011")))
    (tmp_path / "later.csv").write_text(f"user,item,time,event\n{later}")
    (tmp_path / "new_products.csv").write_text("item,department,category\ni900,A,hats\n")
    write_logs(tmp_path, events)
    (tmp_path / "ratings.dat").write_text(log.replace(",view", "").replace(",", "::"))
    sessions = [" ".join(f"i{a + k:03d}" for k in range(5)) for a in range(150)]
    (tmp_path / "sessions.txt").write_text("\n".join(sessions))
    for folder in filter(Path.is_dir, EXAMPLE.glob("[!_]*")):
        (tmp_path / folder.name).symlink_to(folder)
    return tmp_path


def write_logs(folder: Path, events: list[tuple[int, str, int]]) -> None:
    """The logs of docs/events.md, with the columns of those that are published."""
    users = {user: [item for other, item, _ in events if other == user] for user, _, _ in events}
    users = {user: items[user % 2 :] for user, items in users.items()}  # of several lengths
    lines = {user: f"{user} {' '.join(items)}\n" for user, items in users.items()}
    held = {user: f"{user} {items[-1]}\n" for user, items in users.items()}
    short = {user: f"{user} {' '.join(items[:-1])}\n" for user, items in users.items()}
    names = {"sequences_beauty": lines, "sequences_toys": lines, "train": short, "test": held}
    for name, text in names.items():
        with gzip.open(folder / f"{name}.txt.gz", "wt") as file:
            file.write("".join(text.values()))
    table = pl.DataFrame(events, schema=["household_id", "product_id", "time"], orient="row")
    table = table.with_columns(basket_id=pl.col("household_id") * 10 + pl.col("time") % 7200)
    table.rename({"time": "transaction_timestamp"}).write_parquet(folder / "transactions.parquet")
    products = table.select("product_id", brand=pl.lit("A")).unique()
    products.write_parquet(folder / "products.parquet")
    households = table.select("household_id", age=pl.lit("35-44"), income=pl.lit("50-74K"))
    households = households.unique()
    households.write_parquet(folder / "demographics.parquet")
    steps = pl.col("time").rank("ordinal").over("household_id")
    table.select(
        user_id="household_id", session_id="household_id", timestamp="time", step=steps,
        action_type=pl.when(steps % 2 == 1).then(pl.lit("clickout item")).otherwise(pl.lit("view")),
        reference=pl.col("product_id").str.strip_prefix("i"), city=pl.lit("Rome"),
    ).write_parquet(folder / "sessions.parquet")  # fmt: skip


def run_all(calls: list[Call], stage: Path) -> list[str]:
    """Run the calls in one process; returns what those that fail have printed."""
    folders = os.pathsep.join(map(str, (ROOT, os.environ.get("PYTHONPATH", ""))))
    done = subprocess.run(
        [sys.executable, "-m", "tests.documented_driver"],
        input=json.dumps(calls),
        cwd=stage,
        env=os.environ | {"PYTHONPATH": folders, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    codes = json.loads((stage / "codes.json").read_text())
    printed = re.split(r"^#### ", done.stdout, flags=re.MULTILINE)[1:]
    assert len(codes) == len(calls), done.stdout[-3000:]
    return [text[-2000:] for text, code in zip(printed, codes, strict=True) if code != 0]


def distinct(calls: list[Call]) -> list[Call]:
    """Each call once, in the order in which one makes what the next one reads."""
    once = {json.dumps(call): call for call in calls}.values()

    def place(call: Call) -> tuple[int, bool, bool]:
        has_placeholder = any("..." in word for word in call[1])
        reads_vectors = call[1][:1] == ["import"] or "model=external" in call[1]
        return (
            3 if reads_vectors else ORDER.get(call[0], 2),
            has_placeholder,
            len(call[1]) > len(small("train.py", [])),
        )

    return sorted(once, key=place)


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    assert len({command.program for command in DOCUMENTED}) >= 7
    with pytest.raises(UnknownCommandError, match=r"page:1: .* python other\.py"):
        _ = Command("page:1", ("python", "other.py")).program


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_stand_in_blocks_of_their_own(page: Path) -> None:
    """Where they are found: no other block holds a line that begins with a program."""
    for first, language, text in blocks(page):
        others = text.splitlines() if language != "sh" else []
        found = [
            line for line in others if line.strip().startswith(tuple(f"{p} " for p in PROGRAMS))
        ]
        assert not found, f"line {first}: {found}"


def test_the_page_of_measurements_is_the_file_of_the_benchmarks() -> None:
    """A copy of it would grow old."""
    page = ROOT / "docs" / "measured.md"
    assert page.is_symlink()
    assert page.samefile(ROOT / "benchmarks" / "RESULTS.md")


def test_targets_exist() -> None:
    assert from_make()
    help_text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for command in of("make"):
        assert re.search(rf"^{command.words[1]}\s", help_text, re.MULTILINE), command


def test_extras_exist() -> None:
    commands = of("pip")
    assert commands
    for command in commands:
        assert not absent_extras(command), command
    wrong = Command("page:1", ("pip", "install", "-c", "constraints.txt", "-e", ".[sweeps]"))
    assert absent_extras(wrong) == {"sweeps"}
    assert "BIN := .venv/bin\n" in (ROOT / "Makefile").read_text()  # whose `activate` is named


def test_every_configuration_is_accepted(stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of every command, those of sweeps in every combination, of all presets once."""
    monkeypatch.chdir(stage)
    register_resolvers()
    trained = [command for command in [*DOCUMENTED, *from_make()] if command.program == "train.py"]
    assert len(trained) > 30
    once: dict[tuple[str, ...], Command] = {}
    has_all = False
    for command in trained:
        words = [re.sub(r"^(seed=\w+),.*", r"\1", word) for word in command.arguments]
        if any(word.startswith("experiment=glob(*,") for word in words):
            words, has_all = first_job(words) if has_all else words, True
        left_out = ("hydra/", "hydra.launcher")
        once.setdefault(tuple(w for w in words if not w.startswith(left_out)), command)
    for words, command in once.items():
        try:
            for _, cfg in compose_jobs([*words], ROOT / "conf") or []:
                if not cfg.plugins:  # of a package that is not imported here
                    check_configuration(cfg)
        except ConfigurationError as error:
            pytest.fail(f"{command.place}: {command.text}: {error}")


def calls_of(commands: Iterable[Command]) -> list[Call]:
    """What runs the commands: a sweep by its first job, a benchmark as far as its options."""
    calls: list[Call] = []
    for command in commands:
        if command.program == "benchmarks":
            calls.append(("parse benchmarks", command.arguments))
        elif command.program == "train.py":
            calls.append(("train.py", small("train.py", first_job(command.arguments))))
        elif command.program not in ("make", "pip", "activate"):
            calls.append((command.program, small(command.program, command.arguments)))
    return distinct(calls)


def test_commands_run(stage: Path) -> None:
    """Those of the README; of the other pages, what does not train, or trains what is reported."""

    def is_chosen(command: Command) -> bool:
        needed = ("hydra.sweep.dir", "--config-dir", "hydra.run.dir=outputs/shop")
        if "compile" in command.words:  # `make soak` runs it
            return False
        is_needed = any(word.startswith(needed) for word in command.words)
        return command.program != "train.py" or command.place.startswith("README") or is_needed

    chosen = filter(is_chosen, DOCUMENTED)
    assert not (failed := run_all(calls_of(chosen), stage)), "\n".join(failed)


@pytest.mark.soak
def test_commands_of_all_pages_run(stage: Path) -> None:
    calls = calls_of([*DOCUMENTED, *from_make()])
    assert not (failed := run_all(calls, stage)), "\n".join(failed)


@pytest.mark.soak
def test_sweeps_run(stage: Path) -> None:
    """With all their jobs, and the reports on them; `test_benchmarks` runs the benchmarks."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    calls: list[Call] = [("train.py", small("train.py", []))]  # for reports to find
    for command in [*DOCUMENTED, *from_make()]:
        if any(word.startswith(CLUSTERS) for word in command.words):
            continue
        if command.program == "train.py" and "-m" in command.arguments:
            calls.append(("train.py", small("train.py", command.arguments)))
        elif command.program == "recsys_lab.report":
            calls.append((command.program, command.arguments))
    assert not (failed := run_all(distinct(calls), stage)), "\n".join(failed)

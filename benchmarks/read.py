"""Reading raw metadata, per core: recsys_lab to vocabulary and listings, peers to objects.

All read the same gzip file. The peers only parse the lines; recsys_lab checks every record, codes
the ids, and merges duplicates.
"""

import argparse
import ast
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import orjson
import polars as pl

from benchmarks.child import timed
from benchmarks.harness import Comparison, Contender, Run
from benchmarks.inputs import WEIGHTS, Inputs
from recsys_lab.readers.amazon import AmazonSource
from recsys_lab.readers.amazon_records import RELATIONS, decode_lines
from recsys_lab.readers.lines import read_blocks


def measure(path: str) -> Run:
    """The whole reader."""
    source = AmazonSource(path, WEIGHTS, "keep", False, 0, 0.0)
    records, measured = timed(source.read)
    return {"work": records.account.lines, **measured}


def decode(path: str) -> Run:
    """Its first part alone, which is what the peers do: every line decoded."""

    def read() -> int:
        blocks = (block for block in read_blocks(path) if block is not None)
        return sum(len(decode_lines(block, list(RELATIONS)).records) for block in blocks)

    count, measured = timed(read)
    return {"work": count, **measured}


def by_line(path: str, parser: str) -> Run:
    """A parser called for every line of `gzip.open`, objects thrown away."""
    parsers: dict[str, Callable[[bytes], object]] = {
        "ast.literal_eval": lambda line: ast.literal_eval(line.decode()),
        "json": json.loads,
        "orjson": orjson.loads,
    }
    parse = parsers[parser]

    def read() -> int:
        count = 0
        with gzip.open(path) as lines:
            for line in lines:
                parse(line)
                count += 1
        return count

    count, measured = timed(read)
    return {"work": count, **measured}


def by_polars(path: str) -> Run:
    """The reader of JSON lines of polars; it takes the schema from all lines."""

    def read() -> int:
        data = gzip.decompress(Path(path).read_bytes())
        return pl.read_ndjson(io.BytesIO(data), infer_schema_length=None).height

    count, measured = timed(read)
    return {"work": count, **measured}


def add_options(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def compare(inputs: Inputs, options: argparse.Namespace) -> list[Comparison]:
    """One comparison for each notation."""
    found = []
    for form, file in inputs.first_lines.items():
        path, peer = str(file), Contender.peer
        contenders = [
            Contender.project("recsys_lab, parsing alone, one thread", "read.decode", 1, path=path),
            Contender.project("recsys_lab, one thread", "read.measure", 1, path=path),
            Contender.project("recsys_lab", "read.measure", options.threads, path=path),
        ]
        if form == "JSON":
            for name in ("json", "orjson"):
                contenders.append(peer(f"{name}.loads", "read.by_line", path=path, parser=name))
            contenders.append(peer("polars.read_ndjson", "read.by_polars", path=path))
        else:
            name = "ast.literal_eval"
            contenders.append(peer(name, "read.by_line", path=path, parser=name))
        comparison = Comparison(f"reading {form} lines, gzip", "lines")
        found.append(comparison.measure(options.choose(contenders), options.repeats))
    return found

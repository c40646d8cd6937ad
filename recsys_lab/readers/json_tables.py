"""Edges in JSON: lines of objects or lists, and documents as programs write them.

A document is an array of pairs or objects, an object of neighbours by id, the node-link form of
networkx and d3, or the columns of a table by name, as pandas writes them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson
import polars as pl

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import show
from recsys_lab.readers.literals import parse_line
from recsys_lab.readers.table_columns import JSON, Sample, find_columns, say_ignored
from recsys_lab.readers.table_form import BOM, SAMPLE, FormOptions, TableForm
from recsys_lab.readers.table_rows import CELLS, finish_rows

_MOST_BYTES = 1 << 28  # of a document, which is held in memory
_BATCH = 20_000  # values
_LISTS_OF_EDGES = ("links", "edges", "data", "rows", "relationships", "pairs")


def begins_document(first: bytes) -> bool:
    """Whether a file that begins so is one JSON document, and not a value in each line."""
    text = first.removeprefix(BOM.encode()).lstrip()
    if text[:1] not in (b"{", b"["):
        return False
    line, _, rest = text.partition(b"\n")
    value = parse(line)
    if value is None:  # pretty-printed, or a line longer than the first bytes
        return line.rstrip() in (b"{", b"[", b"[[", b"[{") or (
            b"\n" not in text and text[1:].lstrip()[:1] in (b'"', b"[", b"{")
        )
    nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not rest.strip() and any(isinstance(x, list | dict) for x in nested)


def parse(line: bytes | str | None) -> Any:
    """The value of JSON or a Python literal; None where a line is neither."""
    try:
        return parse_line(line.encode() if isinstance(line, str) else line or b"null")
    except ValueError:
        return None


def is_json(lines: Sequence[str]) -> bool:
    """Whether the lines are values, told by the first."""
    first = next(line for line in lines if line.strip())
    return first.lstrip()[:1] in ("{", "[") and isinstance(parse(first), list | dict)


# -- documents -----------------------------------------------------------------------------------


def document_lines(
    chunks: Iterator[bytes], path: str, *, quoting: bool = True
) -> Iterator[list[str]]:
    """The edges, or rows, of a document as lines of JSON, some thousands at a time.

    Args:
        chunks: its bytes.
        path: of the document, for messages.
        quoting: whether a message may show its beginning.

    Raises:
        CatalogError: it is too large, damaged, or holds no edges.
    """
    whole = bytearray()
    for chunk in chunks:
        whole += chunk
        if len(whole) > _MOST_BYTES:
            raise CatalogError(
                f"{path} is one JSON document of more than {_MOST_BYTES >> 20} MB: write a value "
                "in a line, of an array with jq -c '.[]' FILE > NEW"
            )
    try:
        value = orjson.loads(bytes(whole).removeprefix(BOM.encode()))
    except ValueError as error:
        raise CatalogError(
            f"{path} begins like a JSON document and is none ({error}); repair it, or write a pair "
            "in a line"
        ) from error
    edges = _edges_of(value, path)
    if edges is None:
        if not quoting:
            raise CatalogError(
                f"{path} is a JSON document without rows: write an object in each line"
            )
        begin = show(orjson.dumps(value)[:200].decode(errors="replace"))
        raise CatalogError(
            f"{path} is a JSON document without edges, it begins {begin}"
            ': write a pair in a line, such as ["a", "b"]'
        )
    for start in range(0, len(edges), _BATCH):
        yield [orjson.dumps(edge).decode() for edge in edges[start : start + _BATCH]]


def _edges_of(value: Any, path: str) -> list[Any] | None:
    """The edges of a document, as lists or objects, one for each; None where it has none."""
    if isinstance(value, list) and any(isinstance(x, list | dict) for x in value):
        return value
    if isinstance(value, dict):
        if isinstance(value.get("elements"), dict):  # Cytoscape
            found = value["elements"].get("edges", [])
            return [x.get("data", x) if isinstance(x, dict) else x for x in found]
        if "adjacency" in value:
            raise CatalogError(
                f"{path} is an adjacency document of networkx: write it with nx.write_edgelist, or "
                "nx.node_link_data"
            )
        if isinstance(value.get("graph"), dict) and "edges" in value["graph"]:
            value = value["graph"]  # the JSON Graph Format
        for name in _LISTS_OF_EDGES:
            if isinstance(value.get(name), list):
                _refuse_places(value.get("nodes"), value[name], path)
                names = value.get("columns")
                rows: list[Any] = value[name]
                return [dict(zip(names, row, strict=False)) for row in rows] if names else rows
        columns = list(value.values())
        if all(isinstance(x, dict) and x.keys() == columns[0].keys() for x in columns) and (
            0 < len(columns) < len(columns[0])
        ):
            return _rows(list(value), [list(x.values()) for x in columns])
        if all(isinstance(x, list) for x in columns):
            if len(columns) < 6 and len({len(x) for x in columns}) == 1 and len(columns[0]) > 5:
                return _rows(list(value), columns)
            return [[item, other] for item, others in value.items() for other in others]
    return None


def _refuse_places(nodes: Any, edges: list[Any], path: str) -> None:
    """Refuse edges that name the places of nodes in their list, as older documents of d3 do."""
    if not isinstance(nodes, list) or not all(isinstance(x, dict) for x in nodes):
        return
    known = {str(value) for node in nodes for value in node.values()}
    ends = [edge.get("source") for edge in edges if isinstance(edge, dict)]
    if ends and all(isinstance(x, int) and str(x) not in known for x in ends):
        raise CatalogError(
            f"{path}: edges name the places of nodes, such as {ends[0]}, and not their ids: write "
            "the ids of the two nodes"
        )


def _rows(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> list[Any]:
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


# -- lines ---------------------------------------------------------------------------------------


def json_form(lines: Sequence[str], path: str, options: FormOptions) -> TableForm:
    """The form of lines of JSON of which these are the first.

    Raises:
        CatalogError: the columns cannot be told.
    """
    values = [value for line in lines if isinstance(value := parse(line), list | dict)][:SAMPLE]
    is_named = isinstance(values[0], dict)
    keys = (
        list(dict.fromkeys(k for v in values if isinstance(v, dict) for k in v)) if is_named else []
    )
    rows = [_cells_of(value, keys) for value in values]
    if "error" in keys:
        raise CatalogError(f"{path} holds an error message, {show(lines[0])}: fetch the file again")
    sample = Sample(path, lines, [keys, *rows] if keys else rows, JSON)
    found = find_columns(sample, options.columns)
    _refuse_nested(values, keys, found.roles, path)
    said = f"JSON lines of {', '.join(keys)}" if keys else f"JSON lists of {found.num_columns}"
    places = ", ".join(f"{role} {keys[k] if keys else k + 1}" for role, k in found.roles.items())
    ignored = say_ignored([key for k, key in enumerate(keys) if k not in found.roles.values()])
    header = orjson.dumps(keys).decode() if keys else None
    return TableForm(
        "json", found.num_columns, found.roles, header=header,
        users_items=found.users_items, numbers=found.numbers,
        said=f"{said} ({places}{'; ' if ignored else ''}{ignored}); first edge {found.first_edge}",
        warnings=found.warnings,
    )  # fmt: skip


def _refuse_nested(
    values: Sequence[Any], keys: Sequence[str], roles: dict[str, int], path: str
) -> None:
    for end in ("source", "target"):
        name = keys[roles[end]] if keys else roles[end]
        found = [
            v.get(name) if isinstance(v, dict) else v[name]
            for v in values
            if isinstance(v, dict) == bool(keys) and (keys or roles[end] < len(v))
        ]
        if any(isinstance(x, list | dict) for x in found):
            kind = "lists" if any(isinstance(x, list) for x in found) else "objects"
            raise CatalogError(
                f"{path}: {name} holds {kind}, where an id belongs, the first line is "
                f"{show(orjson.dumps(values[0])[:200].decode(errors='replace'))}: write a line for "
                "each pair, as jq -c '.ITEM as $i | .NEIGHBOURS[] | [$i, .]' FILE > NEW does for "
                "lists (records of Amazon's products are read by catalog=amazon)"
            )


def _cells_of(value: object, keys: Sequence[str]) -> list[str]:
    if keys and isinstance(value, list):
        return []
    found = [value.get(key) for key in keys] if isinstance(value, dict) else value
    return [_text_of(x) for x in found] if isinstance(found, list) else []


def _text_of(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value).decode()


def take_json(lines: pl.Series, text: pl.Series, form: TableForm, before: int) -> pl.DataFrame:
    """The rows of some lines of JSON.

    Args:
        lines: as bytes; null where one is too long.
        text: as text; null where one is no UTF-8.
        form: of the file.
        before: number of lines before these.
    """
    keys = orjson.loads(form.header) if form.header else []
    values = [parse(line) for line in text]
    rows = [_cells_of(value, keys) for value in values]
    sound = [len(row) == form.num_columns for row in rows]
    wanted = {
        role: pl.Series(
            [
                row[form.roles[role]] if role in form.roles and is_sound else None
                for row, is_sound in zip(rows, sound, strict=True)
            ],
            dtype=pl.String,
        )
        for role in CELLS
    }
    number = pl.Series(np.arange(before + 1, before + 1 + len(text)))
    is_known = pl.Series([isinstance(v, list | dict) for v in values], dtype=pl.Boolean)
    is_value = pl.Series([v is not None for v in values], dtype=pl.Boolean)
    is_one = pl.Series(sound, dtype=pl.Boolean)
    frame = pl.DataFrame({"line": lines, "text": text, "number": number} | wanted)
    checks = [
        ("too long", pl.col("line").is_null()),
        ("not UTF-8", pl.col("text").is_null()),
        ("blank", pl.col("text").str.strip_chars() == ""),
        ("malformed", pl.lit(~is_value)),
        ("neither an object nor a list", pl.lit(~is_known)),
        ("wrong number of columns", pl.lit(~is_one)),
    ]
    return finish_rows(frame, form, checks)

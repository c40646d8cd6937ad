"""A map in the browser, by embedding-atlas."""

import socket
from pathlib import Path
from typing import Any

import polars as pl

from recsys_lab.vectors.errors import VectorsError

HOST = "127.0.0.1"
_ROW = "__row__"  # the viewer hides columns with such names
_LABELS, _NUMBERS = ("category", "brand"), ("price", "num_pairs")
_SHOWN = ["id", "title", "brand", "category", "price", "num_pairs"]


def check_viewer(port: int) -> None:
    """Check that a map can be shown, before it is made.

    Raises:
        VectorsError: the viewer is not installed, or the port is in use.
    """
    try:
        import embedding_atlas  # noqa: F401
    except ImportError as error:
        raise VectorsError(
            "a map is shown by embedding-atlas: install it with pip install -e '.[explore]', "
            "or write the table alone with --prepare-only"
        ) from error
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise VectorsError(
                f"port {port} cannot be used ({error}): choose another one with --port"
            ) from error


def show_map(path: Path, color: str, port: int) -> None:
    """Serve a map to browsers on this machine until it is interrupted.

    The table is queried in this process, so the page loads nothing from elsewhere.

    Args:
        path: the table of `prepare_map`.
        color: the column that colours the items.
        port: of 127.0.0.1.
    """
    import uvicorn

    uvicorn.run(map_application(path, color), host=HOST, port=port, log_level="error")


def map_application(path: Path, color: str) -> Any:
    """The viewer of a map, an ASGI application that answers requests to this machine alone."""
    import embedding_atlas
    from embedding_atlas.data_source import DataSource
    from embedding_atlas.options import make_embedding_atlas_props
    from embedding_atlas.server import make_server
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    table = pl.read_parquet(path).with_row_index(_ROW)
    columns = {"row_id": _ROW, "x": "x", "y": "y", "text": "title", "neighbors": "neighbors"}
    props = make_embedding_atlas_props(**columns, initial_state=initial_state(table, color))
    pages = Path(embedding_atlas.__file__).parent / "static"
    source = DataSource(path.stem, table, {"props": props})
    app = make_server(source, static_path=str(pages), duckdb_uri="server")
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return app


def initial_state(table: pl.DataFrame, color: str) -> dict[str, Any]:
    """What the page shows first: the map in colours, the table, and a chart of each column."""
    embedding = {"x": "x", "y": "y", "text": "title", "category": color, "neighbors": "neighbors"}
    charts: list[dict[str, Any]] = [
        {"type": "embedding", "title": "Map", "data": embedding},
        {"type": "instances", "title": "Items", "columns": _SHOWN},
    ]
    for name in _LABELS + _NUMBERS:
        if table[name].n_unique() > 1:
            charts.append(_labels(name) if name in _LABELS else _histogram(name))
    hidden = {name: {"display": "hidden"} for name in ("x", "y", "neighbors")}
    return {
        "charts": {str(place): chart for place, chart in enumerate(charts, 1)},
        "columnStyles": hidden,
    }


def _labels(name: str) -> dict[str, Any]:
    return {"type": "count-plot", "title": name, "data": {"field": name}}


def _histogram(name: str) -> dict[str, Any]:
    """All items in grey, the selected ones over them."""
    every = {
        "mark": "bar",
        "encoding": {"x": {"field": name}, "y": {"aggregate": "count"}},
    }
    return {
        "title": name,
        "layers": [
            every | {"style": {"fillColor": "$markColorFade"}},
            every | {"filter": "$filter"},
        ],
        "selection": {"brush": {"encoding": "x"}},
        "widgets": [{"type": "scale.type", "channel": "x"}],
    }

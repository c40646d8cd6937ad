"""Pages from templates; every value is escaped."""

from collections.abc import Sequence
from pathlib import Path

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from recsys_lab.serve.exhibits import Exhibits
from recsys_lab.serve.shown_items import ShownItem
from recsys_lab.serve.side_by_side import side_by_side
from recsys_lab.serve.view import View
from recsys_lab.vectors.known_pairs import relation_text

FILES = Path(__file__).parent
LENGTHS = (5, 10, 20, 50, 100)  # of the lists, to choose from


class Pages:
    """Writes the pages of a server."""

    def __init__(self, exhibits: Exhibits) -> None:
        self._exhibits = exhibits
        self._environment = Environment(
            loader=PackageLoader("recsys_lab.serve", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "score": write_score, "figure": _figure, "relation": relation_text,
        }  # fmt: skip

    def start(self, view: View) -> HTMLResponse:
        """What is served, and items to begin with."""
        return self._write("start", view)

    def item(self, view: View) -> HTMLResponse:
        """The neighbours of an item, side by side."""
        shown = self._exhibits.item(view.item)
        sources = self._exhibits.chosen(view.show)
        found = side_by_side(self._exhibits.runs, sources, view.item, view.k, view.hide_known)
        lengths = sorted({*LENGTHS, view.k})
        return self._write("item", view, shown=shown, found=found, lengths=lengths)

    def hits(self, view: View, hits: Sequence[ShownItem]) -> HTMLResponse:
        """The items that a search found; status 404 if there is none."""
        message = "" if hits else self._exhibits.absent(view.q)
        return self._write("hits", view, 200 if hits else 404, hits=hits, message=message)

    def trouble(self, status: int, message: str, near: Sequence[str] = ()) -> HTMLResponse:
        """A page for what cannot be answered."""
        heading = "Not found" if status == 404 else "This does not work"
        return self._write("trouble", View(), status, heading=heading, message=message, near=near)

    def _write(self, name: str, view: View, status: int = 200, **values: object) -> HTMLResponse:
        template = self._environment.get_template(f"{name}.html.j2")
        return HTMLResponse(
            template.render(view=view, exhibits=self._exhibits, **values), status_code=status
        )


def write_score(score: float) -> str:
    """Three significant digits."""
    return f"{score:.0f}" if abs(score) >= 100 else f"{score:#.3g}".replace("-", "\u2212")


def _figure(value: float | None) -> str:
    return "\u2013" if value is None else f"{value:.3f}".lstrip("0") or "0"

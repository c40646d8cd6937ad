"""A comparison as Markdown, and as one HTML page without external files."""

import os
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from recsys_lab.report import published
from recsys_lab.report.compared_labels import labels_of
from recsys_lab.report.comparison import Comparison
from recsys_lab.report.pictures import Picture
from recsys_lab.report.tables import difference_table
from recsys_lab.results.files import write_text
from recsys_lab.results.run_folder import CONFIG

_BOLD = (
    "in brackets the 95 % interval; bold where it excludes zero: blue where the model is better, "
    "red where it is worse."
)
_TEXTS = {
    "how_to_read": (
        "Mean over seeds ± standard deviation (n - 1). n is the number of seeds; baselines are not "
        "trained and have none. Bold is the best of a column. Intervals are 95 %, by a bootstrap "
        "over items; their bounds are averaged over the seeds. “Item vectors, cosine” are the "
        "plain vectors of the model above, as a word2vec file holds them, scored by their cosine "
        "alone; there is no such row where that is the score of the model."
    ),
    "differences": f"Differences to the strong baselines on the same queries, {_BOLD}",
    "label_differences": f"Differences to these baselines on the same items, {_BOLD}",
    "of_labels": (
        "Each label of a held-out item is ranked among those of its field that are not true of the "
        "item. Most frequent: labels by the number of training items that have them. Nearest "
        "titles, nearest items: labels of the training items that are nearest by the tf-idf of "
        "titles, of all fields but the labels."
    ),
    "searching": (
        "Trials by the monitored metric on validation pairs, the best first. Only the best one is "
        "tested."
    ),
    "several": (
        "The runs are on different data or splits, and each of these has a table. Numbers of "
        "different tables cannot be compared."
    ),
}


def write_pages(
    comparison: Comparison,
    pictures: Sequence[Sequence[Picture]],
    of_searches: Sequence[Sequence[Picture]],
    folder: Path,
) -> None:
    """Write `comparison.md` and `comparison.html`, which embeds the pictures.

    Args:
        comparison: tables and problems.
        pictures: of each table.
        of_searches: of each search.
        folder: of the pages and the pictures.
    """
    environment = Environment(
        loader=PackageLoader("recsys_lab.report", "."),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = _plain
    environment.filters["link"] = lambda path: quote(os.path.relpath(path, folder))
    environment.filters["base64"] = lambda name: b64encode((folder / name).read_bytes()).decode()
    for suffix in ("md", "html"):
        page = environment.get_template(f"page.{suffix}.j2").render(
            _TEXTS,
            tables=list(zip(comparison.tables, pictures, strict=True)),
            searches=list(zip(comparison.searches, of_searches, strict=True)),
            problems=comparison.problems,
            difference_table=difference_table,
            labels_of=labels_of,
            published=published,
            config=CONFIG,
        )
        write_text(folder / f"comparison.{suffix}", page)


def _plain(text: str) -> str:
    """Text on one line, with the marks of Markdown tables and HTML escaped."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

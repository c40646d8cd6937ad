"""Makes the pictures of docs/serving.md, from a server that runs.

python -m recsys_lab serve RUN RUN
python -m tests.serve.screenshots http://127.0.0.1:8000 ITEM --hits WORDS --out docs
"""

import argparse
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.serve.browser import launch

DESKTOP, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of the page for the documentation.")
    parser.add_argument("server")
    parser.add_argument("item")
    parser.add_argument("--hits", default="the")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    address = f"{arguments.server}/?item={arguments.item}"
    with sync_playwright() as playwright, launch(playwright) as browser:
        for name, scheme, size in (
            ("light", "light", DESKTOP),
            ("dark", "dark", DESKTOP),
            ("phone", "light", PHONE),
        ):
            page = browser.new_page(viewport=size, color_scheme=scheme)
            page.goto(address)
            shoot(page, arguments.out / f"serve_{name}.png")
        page = browser.new_page(viewport=DESKTOP)
        page.goto(arguments.server)
        page.keyboard.press("/")
        page.keyboard.type(arguments.hits)
        page.wait_for_selector("#hits li")
        page.keyboard.press("ArrowDown")
        shoot(page, arguments.out / "serve_search.png")


def shoot(page: Page, path: Path) -> None:
    """A picture of 128 colours, which such a page hardly exceeds, in a third of the bytes."""
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()

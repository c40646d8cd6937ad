"""Makes the pictures of the comparison page in docs/tutorial.md.

python -m tests.report.screenshots outputs/.../comparison/comparison.html --out docs
"""

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.serve.browser import launch
from tests.serve.screenshots import DESKTOP, PHONE, shoot


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of a comparison for the documentation.")
    parser.add_argument("page", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    with sync_playwright() as playwright, launch(playwright) as browser:
        page = browser.new_page(viewport=DESKTOP, color_scheme="light")
        page.goto(arguments.page.resolve().as_uri())
        shoot(page, arguments.out / "report_light.png")
        page = browser.new_page(viewport=PHONE, color_scheme="dark")
        page.goto(arguments.page.resolve().as_uri())
        page.evaluate("document.querySelectorAll('h3')[0].scrollIntoView()")
        shoot(page, arguments.out / "report_phone.png")


if __name__ == "__main__":
    main()

"""The comparison page in a real browser, on a phone and in the dark."""

import pytest
from playwright.sync_api import sync_playwright

from recsys_lab.report.__main__ import main
from tests.run_folder_cases import metrics, write_run
from tests.serve.browser import deadline, find_browser, launch

PHONE = {"width": 360, "height": 740}


def test_a_phone_needs_no_other_address_and_scrolls_only_tables(tmp_path):
    if find_browser() is None:
        pytest.skip("install a browser, for example with apt-get install chromium")
    evil = "</style><img src=http://example.org/a.png onerror=alert(1)>" + "long" * 30
    run = tmp_path / ("0_" + "x" * 90)
    write_run(run, 0, metrics(**{"item_vectors/ndcg@10/all": 0.1}), choices={"experiment": evil})
    write_run(tmp_path / "failed", 3, log=f"10:00:00 ERROR   {evil}\n")
    assert main([str(tmp_path)]) == 0
    page_file = tmp_path / "comparison" / "comparison.html"
    asked, alerts = [], []
    with deadline(60), sync_playwright() as playwright, launch(playwright) as browser:
        page = browser.new_page(viewport=PHONE, color_scheme="dark")
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
        page.goto(page_file.as_uri())
        for details in page.locator("details").all():
            details.locator("summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        background, text = (
            page.evaluate(f"getComputedStyle(document.body).{name}")
            for name in ("backgroundColor", "color")
        )
        link = page.get_by_role("link", name="config.yaml").first
        assert link.evaluate("link => link.href") == (run / ".hydra" / "config.yaml").as_uri()
    assert [url for url in asked if not url.startswith("data:")] == [page_file.as_uri()]
    assert alerts == []
    assert (background, text) == ("rgb(20, 23, 27)", "rgb(228, 232, 236)")

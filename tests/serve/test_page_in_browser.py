"""The page in a real browser: what somebody sees, types and clicks."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from recsys_lab.serve.application import build_application
from recsys_lab.serve.exhibits import Exhibits
from tests.serve.browser import deadline, find_browser, launch, opened, served
from tests.serve.served_cases import ASKED, HOSTILE, IDS, IMAGE

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if find_browser() is None:
        pytest.skip("install a browser, for example with apt-get install chromium")
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        with deadline(30):
            browser.close()


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    with deadline(90):
        yield


@pytest.fixture(scope="module")
def address(exhibits: Exhibits) -> Iterator[str]:
    with served(build_application(exhibits)) as address:
        yield address


class Watched:
    """What a page must not do: errors, dialogs, requests to elsewhere."""

    def __init__(self, page: Page, address: str) -> None:
        self.problems: list[str] = []
        self._address = address
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("request", self._request)
        page.on("dialog", lambda dialog: (self.problems.append(dialog.message), dialog.dismiss()))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "status of 404" not in message.text:
            self.problems.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(self._address):
            self.problems.append(f"request: {request.url}")


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened(browser, address, viewport={"width": 1280, "height": 900}) as page:
        watched = Watched(page, address)
        yield page
    assert not watched.problems


def items_of(page: Page, number: int) -> list[str]:
    rows = page.locator(f".list:nth-of-type({number}) tbody tr")
    return [row.get_attribute("data-item") or "" for row in rows.all()]


def background(page: Page, selector: str) -> tuple[int, ...]:
    """Red, green, blue."""
    text = page.locator(selector).first.evaluate("e => getComputedStyle(e).backgroundColor")
    return tuple(map(int, re.findall(r"\d+", text)[:3]))


def test_search_with_the_keyboard(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("blue lamp")
    hits = page.locator("#hits li")
    expect(hits).to_have_count(12)
    assert page.locator("#q").get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(hits.nth(1)).to_have_attribute("aria-selected", "true")
    assert page.locator("#q").get_attribute("aria-activedescendant") == "hit-1"
    page.keyboard.press("ArrowUp")
    name = hits.nth(0).locator(".name").inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(name)
    assert page.url.partition("?")[2].startswith("item=")


def test_escape_closes_the_hits_and_enter_searches_the_words(page: Page) -> None:
    page.goto("/")
    page.locator("#q").fill("blue lamp")
    expect(page.locator("#hits li")).to_have_count(12)
    page.keyboard.press("Escape")
    expect(page.locator("#hits")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("20 items for")
    page.locator("#q").fill("zebra")
    expect(page.locator("#hits li")).to_have_text("No item has this id or these words.")


def test_items_lead_to_their_neighbours_and_back(page: Page) -> None:
    page.goto(f"/?item={ASKED}&k=5")
    first = page.url
    before = items_of(page, 1)
    assert len(before) == 5
    page.locator(".list .name").nth(2).click()
    expect(page.locator(".about .id")).to_have_text(before[2])
    assert "k=5" in page.url
    page.go_back()
    expect(page.locator(".about .id")).to_have_text(ASKED)
    assert page.url == first
    assert items_of(page, 1) == before
    page.go_forward()
    expect(page.locator(".about .id")).to_have_text(before[2])


def test_keys_move_through_the_lists(page: Page) -> None:
    page.goto(f"/?item={ASKED}")

    def focused() -> str:
        return page.evaluate("document.activeElement.closest('tr')?.id ?? ''")

    where = []
    for key in "jjlkhh":
        page.keyboard.press(key)
        where.append(focused())
    assert where == ["l1r1", "l1r2", "l2r2", "l2r1", "l1r1", "l1r1"]
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    item = page.evaluate("document.activeElement.closest('tr').dataset.item")
    page.keyboard.press("Enter")
    expect(page.locator(".about .id")).to_have_text(item)


def test_options_change_the_address(page: Page) -> None:
    page.goto(f"/?item={ASKED}")
    page.get_by_label("hide training pairs").check()
    page.wait_for_url("**hide_known=1**")
    assert page.locator(".relation").count() == 0
    page.get_by_label("Length").select_option("20")
    page.wait_for_url("**k=20**")
    assert "hide_known=1" in page.url
    assert "show" not in page.url
    page.locator("#options").get_by_label("Adamic-Adar").uncheck()
    page.wait_for_url("**show=0**")
    assert page.locator(".list").count() == 3
    page.go_back()
    expect(page.locator(".list")).to_have_count(4)


def test_agreement_is_marked_and_linked(page: Page) -> None:
    page.goto(f"/?item={ASKED}")
    lists = [items_of(page, number) for number in (1, 2, 3, 4)]
    for number, items in enumerate(lists, 1):
        rows = page.locator(f".list:nth-of-type({number}) tbody tr")
        for place, item in enumerate(items):
            held = [n for n, other in enumerate(lists, 1) if item in other]
            chips = rows.nth(place).locator(".also a")
            assert chips.all_inner_texts() == [str(n) for n in held if n != number]
            kind = "all" if len(held) == 4 else "some" if len(held) > 1 else ""
            assert (rows.nth(place).get_attribute("class") or "") == kind
        common = page.locator(f".list:nth-of-type({number}) .common").inner_text().split()
        counts = [len({*items} & {*other}) for n, other in enumerate(lists, 1) if n != number]
        assert [int(n) for n in common[1:6:2]] == counts
    assert background(page, "tr.all") != background(page, "tr.some")
    row = page.locator("tr.all").first
    twins = page.locator(f'tr[data-item="{row.get_attribute("data-item")}"]')
    row.hover()
    expect(page.locator("tr.twin")).to_have_count(4)
    assert twins.count() == 4
    row.locator(".also a").nth(1).click()
    expect(page.locator("tr:target")).to_have_attribute(
        "data-item", row.get_attribute("data-item") or ""
    )
    expect(page.locator("tr:target")).to_be_in_viewport()


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_hostile_titles_are_text(page: Page, number: int) -> None:
    title = page.title()
    page.goto("/?" + urlencode({"item": IDS[number]}))
    assert page.locator("h1").inner_text().strip()
    if number in (2, 3):
        expect(page.locator("h1")).to_have_text({2: HOSTILE, 3: IMAGE}[number])
    assert page.locator("main script, main img").count() == 0
    assert page.title() != "broken" != title
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_titles_are_text_in_hits(page: Page) -> None:
    for words, name in (("script", HOSTILE), ("onerror", IMAGE)):
        page.goto("/")
        page.locator("#q").fill(words)
        expect(page.locator("#hits .name").first).to_have_text(name)
        assert page.locator("#hits script, #hits img").count() == 0


def test_scripts_within_the_page_are_refused(browser: Browser, address: str) -> None:
    """By the policy, should escaping ever fail; the browser reports it as an error."""
    with opened(browser, address) as page:
        watched = Watched(page, address)
        page.goto("/")
        ran = page.evaluate(
            """() => {
              const script = document.createElement("script");
              script.textContent = "window.ran = true";
              document.body.append(script);
              return window.ran === true;
            }"""
        )
        assert not ran
    assert ["Content Security Policy" in text for text in watched.problems] == [True]


def luminance(color: tuple[int, ...]) -> float:
    parts = [c / 255 for c in color]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


CONTRAST = """() => {
  const solid = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (!c.endsWith(", 0)")) return c;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (own && e.checkVisibility() && !e.closest(".hidden, .skip, #help, option"))
      found.push([getComputedStyle(e).color, solid(e), e.outerHTML.slice(0, 80)]);
  }
  return found;
}"""


TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")].map((e) => [e.getBoundingClientRect().right, e])
    .filter(([right]) => right > innerWidth).map(([_, e]) => e.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(browser: Browser, address: str, scheme: str) -> None:
    """At least 4.5 : 1, the AA of WCAG."""
    with opened(browser, address, color_scheme=scheme) as page:
        for path in ("/", f"/?item={ASKED}", "/?q=blue", "/?k=0"):
            page.goto(path)
            is_dark = luminance(background(page, "body")) < 0.1
            assert is_dark == (scheme == "dark")
            found = page.evaluate(CONTRAST)
            assert len(found) > 5
            for color, behind, element in found:
                one, other = (tuple(map(int, re.findall(r"\d+", c)[:3])) for c in (color, behind))
                low, high = sorted((luminance(one), luminance(other)))
                assert (high + 0.05) / (low + 0.05) >= 4.5, f"{color} on {behind}: {element}"


def test_a_phone_shows_the_lists_one_below_the_other(browser: Browser, address: str) -> None:
    with opened(browser, address, viewport=PHONE, has_touch=True) as page:
        for asked in ({}, {"item": ASKED, "k": 39}, {"item": IDS[5]}, {"q": "blue lamp"}):
            page.goto("/?" + urlencode(asked))
            assert page.evaluate(TOO_WIDE) == []
        page.goto(f"/?item={ASKED}")
        boxes = [one.bounding_box() for one in page.locator(".list").all()]
        assert len({box["x"] for box in boxes if box}) == 1
        page.locator("#l2r9 .name").scroll_into_view_if_needed()
        header = page.locator(".list:nth-of-type(2) > header").bounding_box()
        assert header is not None
        assert 0 <= header["y"] < 5  # it stays in sight


def test_the_page_works_without_script(browser: Browser, address: str) -> None:
    with opened(browser, address, java_script_enabled=False) as page:
        page.goto("/")
        page.locator("#q").fill("blue lamp")
        page.get_by_role("button", name="Search").click()
        page.locator(".cards a").first.click()
        page.locator(".list").first.wait_for()  # without script a click does not wait for the page
        assert page.locator(".list").count() == 4
        page.locator("[name=hide_known]").check()
        page.get_by_role("button", name="Show").click()
        page.wait_for_url("**hide_known=1**")


def test_lists_are_tables_with_headings(page: Page) -> None:
    """As a reader of the screen finds them."""
    page.goto(f"/?item={ASKED}")
    expect(page.get_by_role("table", name="Neighbours by Adamic-Adar")).to_have_count(1)
    expect(page.get_by_role("columnheader", name="score").first).to_be_visible()
    expect(page.get_by_role("combobox")).to_have_count(2)  # search, length
    expect(page.get_by_role("heading", name="mf_pairs")).to_be_visible()
    expect(page.get_by_role("link", name="also place 1 in list 1").first).to_be_visible()

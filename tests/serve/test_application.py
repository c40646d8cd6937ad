"""What the addresses answer: pages, JSON, and sentences for what cannot be answered."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient

from recsys_lab.serve.application import build_application
from recsys_lab.serve.exhibits import Exhibits
from tests.serve.served_cases import (
    ASKED,
    HOSTILE,
    IDS,
    IMAGE,
    ODD_IDS,
    UNSCORED,
    write_served_run,
)


class Parsed(HTMLParser):
    """Tags with attributes, and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def values(self, tag: str, name: str) -> list[str]:
        return [found[name] or "" for one, found in self.tags if one == tag and name in found]


def page(client: TestClient, **asked: object) -> Parsed:
    answer = client.get("/", params=asked)
    assert answer.status_code == 200, answer.text
    return Parsed(answer.text)


def test_a_page_and_the_json_form_say_the_same(client: TestClient) -> None:
    shown = page(client, item=ASKED, k=7).values("tr", "data-item")
    asked = [(0, "model"), (1, "model"), (0, "adamic_adar"), (1, "walk_proximity")]
    answers = [
        client.get("/api/similar", params={"run": run, "item": ASKED, "k": 7, "by": by}).json()
        for run, by in asked
    ]
    assert shown == [one["item"] for answer in answers for one in answer["neighbours"]]
    assert [one["rank"] for one in answers[0]["neighbours"]] == list(range(1, 8))
    assert answers[1]["run"] == 1
    assert answers[3]["by"] == "walk_proximity"
    priced = [one for one in answers[0]["neighbours"] if one["price"] is not None]
    assert priced[0]["price"] == IDS.index(priced[0]["item"])
    assert priced[0]["categories"][0] == ["Home", "Lamps"]


def test_options_are_in_the_address(client: TestClient) -> None:
    found = page(client, item=ASKED, k=5, hide_known=1, show=["adamic_adar", "1"])
    assert [t.split()[0] for t in re.findall(r"Neighbours by (.*)", found.words)] == [
        "mf_pairs", "Adamic-Adar",
    ]  # fmt: skip
    assert len(found.values("tr", "data-item")) == 10
    assert "also bought" not in found.words
    links = [link for link in found.values("a", "href") if link.startswith("/?item=")]
    assert len(links) == 10
    assert all("k=5&hide_known=1&show=adamic_adar&show=1" in link for link in links)
    checked = [tag[1]["value"] for tag in found.tags if "checked" in tag[1]]
    assert checked == ["1", "1", "adamic_adar"]  # hide_known, then the lists


@pytest.mark.parametrize("item", ODD_IDS)
def test_every_id_has_its_page(client: TestClient, item: str) -> None:
    """The links to an item are the same address as the one that a program makes."""
    found = page(client, item=item, k=1)
    assert item in found.words
    assert item in found.values("input", "value")
    assert client.get("/api/similar", params={"item": item}).json()["item"] == item
    sources = page(client, item=IDS[(IDS.index(item) + 4) % len(IDS)], k=39)
    assert "/?" + urlencode({"item": item, "k": 39}) in sources.values("a", "href")


def test_values_are_escaped(client: TestClient) -> None:
    texts = [client.get("/", params={"item": ASKED, "k": 39}).text]
    texts += [client.get("/", params={"item": IDS[n]}).text for n in (2, 3)]
    texts += [client.get("/", params={"q": text}).text for text in (HOSTILE, IMAGE)]
    texts += [client.get("/", params={"item": HOSTILE, "k": 3}).text]
    texts += [client.get("/", params={HOSTILE: IMAGE, "show": HOSTILE}).text]
    for text in texts:
        found = Parsed(text)
        assert [tag[1] for tag in found.tags if tag[0] == "script"] == [
            {"type": "module", "src": "/static/page.js"}
        ]
        assert {*found.values("img", "src")} == {"/static/icon.svg"}
        names = {name for _, attributes in found.tags for name in attributes}
        assert not {name for name in names if name.startswith("on") or name == "style"}
    assert HOSTILE in Parsed(texts[0]).words
    assert IMAGE in Parsed(texts[0]).words


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("item=x&k=0", "k: input should be greater than or equal to 1"),
        ("item=x&k=101", "k: input should be less than or equal to 100"),
        ("item=x&k=ten", "k: input should be a valid integer"),
        ("item=x&k=1e1", "k: "),
        ("item=x&hide_known=perhaps", "hide_known: input should be a valid boolean"),
        ("items=x", "items: extra inputs are not permitted"),
        ("item=" + "x" * 1001, "item: string should have at most 1000 characters"),
        ("item=x&" + "show=0&" * 101, "show: list should have at most 100 items"),
    ],
)
def test_wrong_values_are_answered_by_a_sentence(
    client: TestClient, query: str, sentence: str
) -> None:
    answer = client.get(f"/?{query}")
    assert answer.status_code == 422
    assert sentence in answer.text
    assert answer.headers["content-type"].startswith("text/html")
    if "show" not in query:
        answer = client.get(f"/api/similar?{query}")
        assert answer.status_code == 422
        assert sentence in answer.json()["detail"]


@pytest.mark.parametrize(
    "garbage", ["%00", "%ff%fe", "%E2%80%AE", "%0d%0aSet-Cookie:x=1", "%F0%9F"]
)
@pytest.mark.parametrize("name", ["item", "q", "show", "k", "hide_known", "x"])
def test_garbage_never_fails(client: TestClient, name: str, garbage: str) -> None:
    for path in ("/", "/api/similar", "/api/search"):
        answer = client.get(f"{path}?{name}={garbage}")
        assert answer.status_code in (200, 404, 422)
        assert "Traceback" not in answer.text
        assert "set-cookie" not in answer.headers


def test_what_is_not_there_is_404(client: TestClient) -> None:
    answer = client.get("/", params={"item": "item0"})
    assert answer.status_code == 404
    found = Parsed(answer.text)
    assert "There is no item 'item0'." in found.words
    assert "/?item=item00" in found.values("a", "href")  # near matches
    answer = client.get("/api/similar", params={"item": "item0"})
    assert answer.status_code == 404
    assert "item00" in answer.json()["near"]
    for query in ("/?item=item00&show=9", "/api/similar?item=item00&run=7", "/nothing"):
        assert client.get(query).status_code == 404
    answer = client.get("/api/similar", params={"item": "item00", "by": "luck"})
    assert answer.json()["detail"].startswith("There is no 'luck' of run 0; there are model, ")


@pytest.mark.parametrize(
    "path", ["/static/../application.py", "/static/%2e%2e/server.py", "/static//etc/passwd"]
)
def test_no_other_file_is_served(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "import" not in answer.text
    assert "root:" not in answer.text


def test_search(client: TestClient) -> None:
    found = client.get("/api/search", params={"q": "blue LAMP", "k": 4}).json()
    assert len(found) == 4
    assert all(one["title"].startswith("Blue lamp") for one in found)
    assert found == sorted(found, key=lambda one: -one["num_pairs"])
    assert [one["item"] for one in client.get("/api/search?q=nan").json()] == ["nan"]
    begins = [one["item"] for one in client.get("/api/search?q=item1").json()]
    assert begins == [item for item in IDS if item.startswith("item1")]
    assert client.get("/api/search?q=zebra").json() == []
    exact = client.get("/", params={"q": "nan", "k": 3}, follow_redirects=False)
    assert (exact.status_code, exact.headers["location"]) == (303, "/?item=nan&k=3")
    (only,) = client.get("/api/search", params={"q": "number 33"}).json()
    alone = client.get("/", params={"q": "number 33"}, follow_redirects=False)
    assert (alone.status_code, alone.headers["location"]) == (303, f"/?item={only['item']}")
    several = page(client, q="blue lamp", k=3)
    assert len([x for x in several.values("a", "href") if x.startswith("/?item=")]) == 20
    assert client.get("/?q=zebra").status_code == 404


def test_start_page_names_runs_and_popular_items(client: TestClient) -> None:
    found = page(client)
    for words in ("skipgram", "mf_pairs", "Adamic-Adar", ".210", ".220", "walk proximity"):
        assert words in found.words
    assert len([x for x in found.values("a", "href") if x.startswith("/?item=")]) == 12


def test_unscored_item_is_explained(client: TestClient) -> None:
    found = page(client, item=UNSCORED)
    assert "No score: no training pair holds it" in found.words
    assert not found.values("tr", "data-item")
    answer = client.get("/api/similar", params={"item": UNSCORED}).json()
    assert answer["neighbours"] == []
    assert answer["message"].startswith("No score")


def test_cold_items_are_marked(tmp_path: Path) -> None:
    run = write_served_run(tmp_path / "run", 1, side_info=True)
    client = TestClient(build_application(Exhibits.open([run])))
    found = page(client, item=ASKED, k=39, show="0").words
    assert len(re.findall(r"\bcold\b", found)) == 1
    answer = client.get("/api/similar", params={"item": ASKED, "k": 39}).json()["neighbours"]
    assert [one["item"] for one in answer if one["is_cold"]] == [UNSCORED]
    asked = page(client, item=UNSCORED, k=5)
    assert "cold 0 training pairs" in asked.words
    assert len(asked.values("tr", "data-item")) == 5  # the baselines cannot answer


def test_answers_allow_nothing_from_elsewhere(exhibits: Exhibits) -> None:
    client = TestClient(build_application(exhibits, ["localhost"]), "http://localhost:8000")
    for path in ("/", "/?k=0", "/nothing", "/static/page.js", "/api/runs", "/openapi.json"):
        policy = client.get(path).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert not re.search(r"https?:", policy)
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"host": "localhost"}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_only_get_is_allowed(client: TestClient, method: str) -> None:
    assert client.request(method, "/").status_code == 405
    assert client.request(method, "/api/runs").status_code == 405


def test_a_failure_shows_no_traceback(
    client: TestClient, exhibits: Exhibits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret of the machine")

    monkeypatch.setattr(type(exhibits), "search", fail)
    for path in ("/?q=x", "/api/search?q=x"):
        answer = client.get(path)
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert "content-security-policy" in answer.headers


def test_schema_describes_the_json_form(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/api/runs", "/api/search", "/api/similar"}
    names = [one["name"] for one in paths["/api/similar"]["get"]["parameters"]]
    assert names == ["item", "run", "by", "k", "hide_known"]
    for path in ("/docs", "/redoc"):  # they load scripts from elsewhere
        assert client.get(path).status_code == 404


def test_runs_are_told_without_their_place(client: TestClient, runs: list) -> None:
    found = client.get("/api/runs").json()
    assert [(one["run"], one["name"], one["folder"]) for one in found] == [
        (0, "skipgram", "one"), (1, "mf_pairs", "two"),
    ]  # fmt: skip
    for path in ("/", "/api/runs", f"/?item={ASKED}"):
        assert str(runs[0].parent) not in client.get(path).text
